// Threads: created by a client or by the first run on them.
import { fail } from "../domain/errors.ts";
import { fitsJsonb } from "../domain/text.ts";
import { newId } from "../engine/ids.ts";
import { createThread, readThread, type ThreadRow } from "../store/threads.ts";
import type { Thread } from "./api.ts";
import { pendingApprovals } from "./approvals.ts";
import { type Installation, loadValue } from "./installation.ts";
import { checkUuid, isUuid } from "./uuid.ts";

/** @throws THREAD_EXISTS */
export async function makeThread(
  installation: Installation,
  tenant: string,
  options: { threadId?: string; metadata?: Record<string, unknown>; ifExists?: "raise" | "do_nothing" },
): Promise<Thread> {
  const threadId = options.threadId === undefined ? newId() : checkUuid("thread", options.threadId);
  const metadata = JSON.stringify(options.metadata ?? {});
  if (!fitsJsonb(metadata))
    throw fail("METADATA_INVALID", { name: "metadata", problem: "it contains NUL or half of a surrogate pair" });
  const made = await createThread(installation.db, tenant, threadId, metadata);
  if (!made && options.ifExists !== "do_nothing") throw fail("THREAD_EXISTS", { thread: threadId });
  const thread = await viewThread(installation, tenant, threadId);
  if (thread === null) throw fail("THREAD_NOT_FOUND", { thread: threadId });
  return thread;
}

export async function viewThread(installation: Installation, tenant: string, threadId: string): Promise<Thread | null> {
  if (!isUuid(threadId)) return null;
  const row = await readThread(installation.db, tenant, threadId);
  if (row === null) return null;
  const waiting = row.active_run !== null && row.run_state === "waiting";
  const interrupts =
    waiting && row.active_run !== null
      ? await pendingApprovals(installation, tenant, { status: "pending", runId: row.active_run })
      : [];
  return {
    threadId: row.thread_id,
    tenant: row.tenant_id,
    agent: row.agent,
    status: statusOf(row, interrupts.length > 0),
    metadata: row.metadata,
    state: (await loadValue(installation.db, tenant, row.state, row.state_blob)) ?? null,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    activeRunId: row.active_run,
    interrupts,
  };
}

function statusOf(row: ThreadRow, asked: boolean): Thread["status"] {
  if (row.active_run === null) return row.last_status === "failed" ? "error" : "idle";
  return asked || row.run_state === "paused" ? "interrupted" : "busy";
}
