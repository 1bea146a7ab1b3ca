// Where a run has come to a stand: at its end, at a question to a person, or paused. What wait, join and the end of a stream go by.
import type { Approval } from "../domain/approval.ts";
import type { RunEvent } from "../domain/entry.ts";
import { fail } from "../domain/errors.ts";
import { PAGE_SIZE_MAX } from "../domain/limits.ts";
import { isFinal, type Run, type RunResult } from "../domain/run.ts";
import type { TokenEvent } from "../domain/tokens.ts";
import type { Tenant } from "../runtime/api.ts";
import { interruptValues } from "./langgraph.ts";

export type Standstill =
  | { readonly kind: "final"; readonly run: Run; readonly result: RunResult }
  | { readonly kind: "asked"; readonly run: Run; readonly pending: readonly Approval[] }
  | { readonly kind: "paused"; readonly run: Run };

/** @throws RUN_NOT_FOUND */
export async function runOf(tenant: Tenant, runId: string): Promise<Run> {
  const run = await tenant.get(runId);
  if (run === null) throw fail("RUN_NOT_FOUND", { run: runId });
  return run;
}

export function pendingOf(tenant: Tenant, runId: string): Promise<Approval[]> {
  return tenant.approvals({ runId, status: "pending", limit: PAGE_SIZE_MAX });
}

/**
 * The entries after `after`, to the last one of the run. Whoever reads to the end of it has read everything.
 *
 * @throws when the journal can no longer be followed, which must not look like its end
 */
export function follow(tenant: Tenant, runId: string, after: number, abort: AbortSignal): AsyncGenerator<RunEvent> {
  return followAll(tenant, runId, { after, abort, tokens: false }) as AsyncGenerator<RunEvent>;
}

/** The same; with `tokens`, and between them what steps are writing. */
export async function* followAll(
  tenant: Tenant,
  runId: string,
  { after, abort, tokens }: { readonly after: number; readonly abort: AbortSignal; readonly tokens: boolean },
): AsyncGenerator<RunEvent | TokenEvent> {
  const run = await runOf(tenant, runId);
  if (run.finishedAt !== null && run.journalSeq <= after) return;
  let last: RunEvent | TokenEvent | undefined;
  for await (const event of tenant.stream(runId, { after, abort, tokens })) {
    last = event;
    yield event;
  }
  abort.throwIfAborted();
  if (last?.kind !== "finished") throw new Error(`the journal of run ${runId} cannot be followed any more`);
}

/** Null while the run moves by itself. */
export async function standstillOf(tenant: Tenant, run: Run): Promise<Standstill | null> {
  if (run.status === "paused") return { kind: "paused", run };
  if (run.status === "waiting") {
    const pending = await pendingOf(tenant, run.runId);
    return pending.length === 0 ? null : { kind: "asked", run, pending };
  }
  if (!isFinal(run.status)) return null;
  const result = await tenant.result(run.runId);
  if (result === null) throw new Error(`run ${run.runId} has ended without a result`);
  return { kind: "final", run, result };
}

/** Waits for the next standstill, also of a run on another process. */
export async function untilStandstill(tenant: Tenant, runId: string, abort: AbortSignal): Promise<Standstill> {
  for (;;) {
    const run = await runOf(tenant, runId);
    const standstill = await standstillOf(tenant, run);
    if (standstill !== null) return standstill;
    await nextPause(tenant, run, abort);
  }
}

/** Reads on until the run was let go of or has ended. */
async function nextPause(tenant: Tenant, run: Run, abort: AbortSignal): Promise<void> {
  for await (const { kind } of follow(tenant, run.runId, run.journalSeq, abort)) {
    if (kind === "released" || kind === "finished" || kind === "lost") return;
  }
}

/** What wait and join answer. */
export function finalValues(standstill: Standstill): unknown {
  switch (standstill.kind) {
    case "asked":
      return interruptValues(standstill.pending);
    case "paused":
      return { __error__: pausedError(standstill.run) };
    case "final":
      return resultValues(standstill.run, standstill.result);
  }
}

function resultValues(run: Run, result: RunResult): unknown {
  switch (result.status) {
    case "succeeded":
      return result.output;
    case "failed":
      return { __error__: failedError(result) };
    case "cancelled":
      return {
        __error__: {
          error: "RunCancelled",
          message: `Run ${run.runId} was cancelled: ${result.reason ?? "no reason given"}.`,
        },
      };
  }
}

export function failedError({ failure }: Extract<RunResult, { status: "failed" }>): { error: string; message: string } {
  return { error: failure.name, message: failure.message };
}

export function pausedError(run: Run): { error: string; message: string } {
  return { error: "RunPaused", message: `Run ${run.runId} is paused: ${run.reason ?? "by hand"}.` };
}
