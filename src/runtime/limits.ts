// What agents and plans allow, told to the database by whoever starts with them.
import type { AnyAgent } from "../agents/ctx.ts";
import { untilAnswered } from "../engine/commit.ts";
import type { Database } from "../store/database.ts";
import { setAgentLimits } from "../store/plans.ts";

const PATIENCE_MS = 10_000;

/** The declaration that was started last holds, for all builds: a limit protects what lies behind an agent. */
export async function declareLimits(db: Database, agents: Iterable<AnyAgent>): Promise<void> {
  for (const { name, concurrency } of agents) {
    const { limit = null, perKey = null } = concurrency;
    await untilAnswered(() => setAgentLimits(db, name, limit, perKey), PATIENCE_MS);
  }
}
