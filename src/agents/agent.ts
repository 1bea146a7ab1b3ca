// How an agent is declared: a name, the shapes of what goes in and out, its limits, and an ordinary async function.
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { fail } from "../domain/errors.ts";
import { checkName } from "../domain/key.ts";
import type { Ctx } from "./ctx.ts";

/** Hard limits of one run. Running time counts, waiting is free. */
export interface AgentLimits {
  /** Children this run may spawn, itself. Default 1,000. */
  readonly children?: number;
  /** How deep a tree below this run may grow. Default 8. */
  readonly depth?: number;
  /** Runs in the whole tree. Default 10,000. */
  readonly treeSize?: number;
  /** Running time over all claims, in minutes. Default unlimited. */
  readonly activeMinutes?: number;
  /** Journal entries. Default 50,000. */
  readonly steps?: number;
}

export interface AgentDefinition<I extends StandardSchemaV1 | undefined, O> {
  /** Unique among the agents of a build: letters, digits, `_`, `-`, `.`. */
  readonly name: string;
  /** One line for people and for `GET /assistants`. */
  readonly description?: string;
  /** Any Standard Schema (Zod, Valibot, ArkType…). Validated at submit, before anything is stored. */
  readonly input?: I;
  readonly limits?: AgentLimits;
  /** Queue its runs go to unless the submit says otherwise. Default `default`. */
  readonly queue?: string;
  readonly run: (ctx: Ctx, input: InputOf<I>) => Promise<O> | O;
}

type InputOf<I> = I extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<I> : unknown;
type SubmittedOf<I> = I extends StandardSchemaV1 ? StandardSchemaV1.InferInput<I> : unknown;

/** A declared agent. `In` is what a submitter gives (before the schema's defaults and transforms), `Out` what a run gives back. */
export interface Agent<In = unknown, Out = unknown> {
  readonly name: string;
  readonly description: string | null;
  readonly schema: StandardSchemaV1 | null;
  readonly limits: AgentLimits;
  readonly queue: string;
  readonly run: (ctx: Ctx, input: never) => Promise<Out> | Out;
  /** Never present: carries the type of the input. */
  readonly "~input"?: In;
}

// biome-ignore lint/suspicious/noExplicitAny: an agent of whatever input and output
export type AnyAgent = Agent<any, any>;
export type AgentInput<A> = A extends Agent<infer I, unknown> ? I : never;
export type AgentOutput<A> = A extends Agent<never, infer O> ? O : never;

/**
 * Declares an agent.
 *
 * @throws AGENT_INVALID when the name or the limits are not usable.
 */
export function agent<const I extends StandardSchemaV1 | undefined = undefined, O = unknown>(
  definition: AgentDefinition<I, O>,
): Agent<SubmittedOf<I>, O> {
  checkName("agent", definition.name);
  if (typeof definition.run !== "function") throw fail("AGENT_INVALID", { agent: definition.name, problem: "run is not a function" });
  for (const [name, value] of Object.entries(definition.limits ?? {})) {
    if (typeof value !== "number" || !(value > 0)) {
      throw fail("AGENT_INVALID", { agent: definition.name, problem: `limits.${name} must be a number above 0` });
    }
  }
  return Object.freeze({
    name: definition.name,
    description: definition.description ?? null,
    schema: definition.input ?? null,
    limits: definition.limits ?? {},
    queue: definition.queue ?? "default",
    run: definition.run as Agent<SubmittedOf<I>, O>["run"],
  });
}
