// How an agent is declared: a name, the shapes of what goes in and out, its limits, and an ordinary async function.
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { BANDS } from "../domain/band.ts";
import type { BudgetDeclaration } from "../domain/budget.ts";
import { checkBudget } from "../domain/budget-check.ts";
import { type DurationInput, durationMs } from "../domain/duration.ts";
import { fail } from "../domain/errors.ts";
import { checkName } from "../domain/key.ts";
import type { RunNeeds } from "../domain/run-needs.ts";
import { type AnyBatcher, checkBatchers } from "./ai/batcher.ts";
import type { Agent, AgentConcurrency, AgentLimits, Band, Ctx } from "./ctx.ts";
import { checkNeeds } from "./needs.ts";

export interface AgentDefinition<I extends StandardSchemaV1 | undefined, O> {
  /** Unique among the agents of a build: letters, digits, `_`, `-`, `.`. */
  readonly name: string;
  /** One line for people and for `GET /assistants`. */
  readonly description?: string;
  /** Any Standard Schema (Zod, Valibot, ArkType…). Validated at submit, before anything is stored. */
  readonly input?: I;
  readonly limits?: AgentLimits;
  /** What each of its runs may spend, with every run below it. Default: what its parent or its tenant may. */
  readonly budget?: BudgetDeclaration;
  /** Queue its runs go to unless the submit says otherwise. Default `default`. */
  readonly queue?: string;
  /** How many runs may be in flight at once: in all, or also for each tenant and key. A number is the limit in all. Default unlimited. */
  readonly concurrency?: number | AgentConcurrency;
  /** Which runs workers take first, unless the tenant's plan names a band. Default `normal`; children are like their parents. */
  readonly band?: Band;
  /** Runs with the same input within this time are one: see `dedupe` of a submit. Default: each submit is a run. */
  readonly dedupe?: { readonly ttl: DurationInput };
  /** A run begins only when its model's limits have room for this. Until then it waits, and holds no slot. Default: it begins at once. */
  readonly needs?: RunNeeds;
  /** What `ctx.batch` of its runs may use. */
  readonly batchers?: readonly AnyBatcher[];
  readonly run: (ctx: Ctx, input: InputOf<I>) => Promise<O> | O;
}

type InputOf<I> = I extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<I> : unknown;
type SubmittedOf<I> = I extends StandardSchemaV1 ? StandardSchemaV1.InferInput<I> : unknown;

/**
 * Declares an agent.
 *
 * @throws AGENT_INVALID when the name or the limits are not usable, BUDGET_INVALID, DURATION_INVALID.
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
  const concurrency =
    typeof definition.concurrency === "number" ? { limit: definition.concurrency } : (definition.concurrency ?? {});
  for (const [name, value] of Object.entries(concurrency)) {
    if (!Number.isInteger(value) || value < 0 || value > 2_147_483_647) {
      const problem = `concurrency.${name} must be a whole number from 0 to 2,147,483,647`;
      throw fail("AGENT_INVALID", { agent: definition.name, problem });
    }
  }
  if (definition.band !== undefined && !BANDS.includes(definition.band)) {
    throw fail("AGENT_INVALID", { agent: definition.name, problem: `band must be one of ${BANDS.join(", ")}` });
  }
  if (definition.dedupe !== undefined) durationMs(definition.dedupe.ttl);
  return Object.freeze({
    name: definition.name,
    description: definition.description ?? null,
    schema: definition.input ?? null,
    limits: definition.limits ?? {},
    budget: checkBudget(`agent ${definition.name}`, definition.budget),
    queue: definition.queue ?? "default",
    concurrency,
    band: definition.band ?? null,
    dedupe: definition.dedupe ?? null,
    needs: checkNeeds(definition.name, definition.needs),
    batchers: checkBatchers(definition.name, definition.batchers),
    run: definition.run as Agent<SubmittedOf<I>, O>["run"],
  });
}
