// How an agent is declared: a name, the shapes of what goes in and out, its limits, and an ordinary async function.
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { fail } from "../domain/errors.ts";
import { checkName } from "../domain/key.ts";
import type { Agent, AgentLimits, Ctx } from "./ctx.ts";

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

/**
 * Declares an agent.
 *
 * @throws AGENT_INVALID when the name or the limits are not usable.
 */
export function agent<const I extends StandardSchemaV1 | undefined = undefined, O = unknown>(
  definition: AgentDefinition<I, O>,
): Agent<SubmittedOf<I>, O> {
  checkName("agent", definition.name);
  if (typeof definition.run !== "function")
    throw fail("AGENT_INVALID", { agent: definition.name, problem: "run is not a function" });
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
