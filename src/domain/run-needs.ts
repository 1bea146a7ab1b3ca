// What a run will need of its model's limits.

/** Said by an agent of each of its runs. */
export interface RunNeeds {
  /** An alias, or `provider/model`: the limits of its first target must have room. */
  readonly model: string;
  /** Model calls. */
  readonly calls: number;
  /** Tokens of all of them, input and output. */
  readonly tokens: number;
}
