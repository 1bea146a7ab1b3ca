// The verbs that wait: timers, signals, questions to people. Each costs a row while it lasts.
import { KIND } from "../domain/entry.ts";
import { hashInput } from "../domain/hash.ts";
import { approvalKey, signalKey, timerKey } from "../domain/message.ts";
import type { NewApproval } from "../store/journal.ts";
import type { Execution } from "./execution.ts";
import { newId } from "./ids.ts";
import { metaOf } from "./replay.ts";
import type { Scope } from "./scope.ts";
import type { Resolution } from "./waits.ts";

interface WaitSpec {
  readonly name: string;
  /** See Scope.open. */
  readonly mark?: string | undefined;
  readonly label: string;
  /** How long, or null for ever. */
  readonly timeoutMs: number | null;
  /** Or until when. */
  readonly untilMs?: number;
  /** What a message must be addressed to; told the key and, for questions, the id. */
  readonly address: (key: string, approvalId: string | null) => string;
  readonly question?: { readonly kind: "approval" | "interrupt"; readonly request: string; readonly name: string };
}

export async function sleep(
  execution: Execution,
  scope: Scope,
  timing: { timeoutMs: number } | { untilMs: number },
): Promise<void> {
  const untilMs = "untilMs" in timing ? timing.untilMs : undefined;
  const timeoutMs = "timeoutMs" in timing ? timing.timeoutMs : null;
  await waitFor(execution, scope, {
    name: "sleep",
    label: "timer",
    timeoutMs,
    ...(untilMs === undefined ? {} : { untilMs }),
    address: (key) => timerKey(key),
  });
}

/** The payload, or how it ended without one. */
export function waitForSignal(
  execution: Execution,
  scope: Scope,
  name: string,
  timeoutMs: number | null,
): Promise<Resolution> {
  return waitFor(execution, scope, {
    name: `signal ${name}`,
    label: `signal ${name}`,
    timeoutMs,
    address: () => signalKey(name),
  });
}

/** Asks a person; the question is visible when this has been journaled. */
export function ask(
  execution: Execution,
  scope: Scope,
  kind: "approval" | "interrupt",
  name: string,
  request: string,
  timeoutMs: number | null,
  mark?: string,
): Promise<Resolution> {
  return waitFor(execution, scope, {
    name: kind === "approval" ? `approval ${name}` : "interrupt",
    mark,
    label: `${kind} ${name}`,
    timeoutMs,
    address: (_, approvalId) => approvalKey(approvalId ?? ""),
    question: { kind, request, name },
  });
}

async function waitFor(execution: Execution, scope: Scope, spec: WaitSpec): Promise<Resolution> {
  const { key, done } = scope.open(spec.name, spec.mark);
  try {
    const recorded = execution.replay.find(key);
    if (recorded !== undefined) return await replayed(execution, scope, key);
    const replaying = execution.replay.ready(key);
    if (replaying !== undefined) await replaying;
    const blocked = execution.enter(scope);
    if (blocked !== undefined) await blocked;
    const notBeforeMs = performance.now() + (spec.timeoutMs ?? 0);
    const opened = execution.replay.opened(key);
    const { dueMs, approvalId } = opened ?? (await execution.during(() => open(execution, key, spec)));
    return await new Promise<Resolution>((resolve) => {
      const address = spec.address(key, approvalId);
      execution.waits.open({
        key,
        address,
        scope,
        dueMs,
        label: spec.label,
        group: null,
        approvalId,
        resolve,
        ...(opened === undefined ? { notBeforeMs } : {}),
      });
    });
  } finally {
    done();
  }
}

function replayed(execution: Execution, scope: Scope, key: string): Promise<Resolution> {
  return new Promise((resolve) => {
    execution.replay.request(key, async (entry) => {
      const byTime = metaOf(entry)["by"] === "time";
      const value = byTime ? undefined : await execution.values.ofReceived(entry);
      if (!scope.closed) resolve(byTime ? { by: "time" } : { by: "message", value });
    });
  });
}

/** Journals what a later process must know: the due time, and the id of the question. */
async function open(
  execution: Execution,
  key: string,
  spec: WaitSpec,
): Promise<{ dueMs: number | null; approvalId: string | null }> {
  const { journal, owner } = execution;
  const dueMs = spec.untilMs ?? (spec.timeoutMs === null ? null : owner.clock.now() + spec.timeoutMs);
  if (spec.question === undefined) {
    // Not waited for: whatever writes next, at the latest the farewell, carries it.
    if (dueMs !== null) journal.buffer(KIND.wait, key, `"due":${dueMs},"label":${JSON.stringify(spec.label)}`, null);
    return { dueMs, approvalId: null };
  }
  const approvalId = newId();
  const { kind, request, name } = spec.question;
  const meta = `"approval":"${approvalId}","label":${JSON.stringify(spec.label)}${dueMs === null ? "" : `,"due":${dueMs}`}`;
  const entry = journal.compose(KIND.wait, key, meta, request);
  const approval: NewApproval = {
    approvalId,
    stepKey: key,
    kind,
    name,
    request: entry.blob === null ? request : null,
    requestBlob: entry.blob,
    requestHash: hashInput(request),
    expiresAt: dueMs === null ? null : new Date(dueMs),
  };
  await journal.add(entry, { approvals: [approval] });
  return { dueMs, approvalId };
}
