// What agents and plans allow, told to the database by whoever starts with them.
import type { AnyAgent } from "../agents/ctx.ts";
import { fail, isLonghaulError } from "../domain/errors.ts";
import { checkPlan, type Plan, planFault } from "../domain/plan.ts";
import type { Database } from "../store/database.ts";
import { untilAnswered } from "../store/patience.ts";
import { configurePlan, setAgentLimits } from "../store/plans.ts";
import { rowOf } from "./plans.ts";

const PATIENCE_MS = 10_000;

/** The declaration that was started last holds, for all builds: a limit protects what lies behind an agent. */
export async function declareLimits(db: Database, agents: Iterable<AnyAgent>): Promise<void> {
  for (const { name, concurrency } of agents) {
    const { limit = null, perKey = null } = concurrency;
    await untilAnswered(() => setAgentLimits(db, name, limit, perKey), PATIENCE_MS);
  }
}

/**
 * Writes the plans that say something else than they said last: what somebody has set by hand since then stays. Answers whether
 * there was anything to write.
 */
export async function declarePlans(db: Database, plans: readonly Plan[]): Promise<boolean> {
  let changed = false;
  for (const plan of plans)
    changed = (await untilAnswered(() => configurePlan(db, rowOf(plan)), PATIENCE_MS)) || changed;
  return changed;
}

/** The plans of a config file or of `connect()`. `place` names it in errors. @throws CONFIG_INVALID */
export function configuredPlans(given: unknown, place: (path: string) => string): Plan[] {
  if (given === undefined) return [];
  if (typeof given !== "object" || given === null || Array.isArray(given))
    throw fail("CONFIG_INVALID", {
      place: place("plans"),
      problem: "it is not an object",
      fix: "Write it like this: plans: { free: { concurrency: 2 }, pro: 20 }.",
    });
  return Object.entries(given).map(([name, input]) => {
    const path = `plans.${name.slice(0, 100)}`;
    const fault = planFault(input);
    if (fault === null) return named(name, input, place(path));
    const { field, problem, fix } = fault;
    throw fail("CONFIG_INVALID", { place: place(field === null ? path : `${path}.${field}`), problem, fix });
  });
}

function named(name: string, input: unknown, place: string): Plan {
  try {
    return checkPlan(name, input);
  } catch (error) {
    if (!isLonghaulError(error, "KEY_INVALID")) throw error;
    throw fail("CONFIG_INVALID", { place, problem: error.message.replace(/\.$/, ""), fix: error.hint });
  }
}
