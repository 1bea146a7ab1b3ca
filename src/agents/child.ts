// Children as an agent's code sees them.
import { bandNumber } from "../domain/band.ts";
import { checkBudget, strictest } from "../domain/budget-check.ts";
import { checkKey } from "../domain/key.ts";
import { encodeValue } from "../domain/value.ts";
import { awaitChild, type ChildSpec } from "../engine/children.ts";
import type { Execution } from "../engine/execution.ts";
import type { Scope } from "../engine/scope.ts";
import type { AnyAgent, Child, SpawnOptions } from "./ctx.ts";
import { validInput } from "./schema.ts";

export class ChildRun<Out> implements Child<Out> {
  readonly runId: string;
  readonly #execution: Execution;
  readonly #scope: Scope;
  readonly #agent: string;
  #result: Promise<Out> | undefined;

  constructor(execution: Execution, scope: Scope, runId: string, agent: string) {
    this.#execution = execution;
    this.#scope = scope;
    this.runId = runId;
    this.#agent = agent;
  }

  result(): Promise<Out> {
    this.#result ??= awaitChild(this.#execution, this.#scope, this.runId, this.#agent, null) as Promise<Out>;
    return this.#result;
  }
}

/** Checks a child's input against its agent's schema, as a submit would. @throws INPUT_INVALID */
export async function childSpec(agent: AnyAgent | string, input: unknown, options: SpawnOptions): Promise<ChildSpec> {
  const known = typeof agent === "string" ? null : agent;
  const value = known === null ? input : await validInput(known, input);
  return {
    agent: typeof agent === "string" ? agent : agent.name,
    input: encodeValue(value),
    queue: options.queue ?? known?.queue ?? "default",
    band: known === null ? null : bandNumber(known.band),
    concurrencyKey: options.concurrencyKey === undefined ? "" : checkKey("concurrency key", options.concurrencyKey),
    priority: options.priority ?? 100,
    detached: options.detached ?? false,
    budget: strictest(known?.budget ?? null, checkBudget("spawn", options.budget)),
  };
}
