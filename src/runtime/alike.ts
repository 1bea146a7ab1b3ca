// Runs that are alike run once: a submit with the same input finds the run that does it, or has done it lately.
import { createHash } from "node:crypto";
import type { AnyAgent } from "../agents/ctx.ts";
import { durationMs } from "../domain/duration.ts";
import { shareRun } from "../store/answers.ts";
import type { Database } from "../store/database.ts";
import { untilAnswered } from "../store/patience.ts";
import { type Alike, type NewRun, type Submitted, submitRuns } from "../store/submit.ts";
import type { SubmitOptions } from "./api.ts";

/**
 * What makes runs alike: agent, build, thread, input, and what configures the agent. Null where alike runs are wanted: nobody asked for less, or
 * the submit names its run itself (by key or id), or takes part in a transaction of its caller's.
 */
export function alikeOf(
  agent: AnyAgent,
  build: string,
  threadId: string | null,
  input: string,
  options: SubmitOptions,
): Alike | null {
  const { dedupe = agent.dedupe, idempotencyKey, runId, tx } = options;
  if (dedupe === null || dedupe === false) return null;
  if (idempotencyKey !== undefined || runId !== undefined || tx !== undefined) return null;
  const ttlMs = durationMs(dedupe.ttl);
  if (ttlMs === 0) return null;
  const { config = null, context = null } = options.options ?? {};
  const text = JSON.stringify([agent.name, build, threadId, input, config, context]);
  return { hash: createHash("sha256").update(text).digest(), ttlMs };
}

/**
 * Submits the run unless one that is alike stands for it. `refuse` throws when the run is turned away: then it stands for nothing.
 *
 * @throws what `refuse` throws
 */
export function submitAlike(
  db: Database,
  run: NewRun,
  alike: Alike,
  patienceMs: number,
  refuse: (row: Submitted) => void,
): Promise<Submitted> {
  const { runId, tenant, agent } = run;
  return untilAnswered(
    () =>
      db.transaction(async (transaction) => {
        const stands = await shareRun(transaction, { tenant, agent, hash: alike.hash, runId }, alike.ttlMs);
        const found = { asked_id: runId, run_id: stands, existing: true, same_request: true };
        if (stands !== runId) return { ...found, refused: null, retry_ms: null };
        const [row] = await submitRuns(transaction, [run]);
        if (row === undefined) throw new Error("submit gave no row");
        refuse(row);
        return row;
      }),
    patienceMs,
  );
}
