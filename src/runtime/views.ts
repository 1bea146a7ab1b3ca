// Stored rows as the outside sees them.
import type { Approval } from "../domain/approval.ts";
import type { Entry, RunEvent } from "../domain/entry.ts";
import { KIND, kindName } from "../domain/entry.ts";
import type { Failure } from "../domain/failure.ts";
import type { Run, RunResult, RunStatus } from "../domain/run.ts";
import type { TokenEvent } from "../domain/tokens.ts";
import { decodeValue } from "../domain/value.ts";
import type { TokenDelta } from "../engine/token-reader.ts";
import type { Database } from "../store/database.ts";
import type { ApprovalRow, OutcomeRow, RunRow } from "../store/read.ts";
import type { StepView } from "./api.ts";
import { loadValue } from "./installation.ts";

const iso = (date: Date | null): string | null => date?.toISOString() ?? null;

export function runView(row: RunRow): Run {
  return {
    runId: row.run_id,
    agent: row.agent,
    tenant: row.tenant_id,
    build: row.build,
    queue: row.queue,
    status: row.status as RunStatus,
    reason: row.reason,
    threadId: row.thread_id,
    parentId: row.parent_id,
    rootId: row.root_id,
    forkedFrom: row.forked_from,
    metadata: row.metadata,
    options: row.options,
    createdAt: row.created_at.toISOString(),
    runAt: iso(row.run_at),
    finishedAt: iso(row.finished_at),
    epoch: row.epoch,
    journalSeq: row.journal_seq,
    workerId: row.worker_id,
    leaseExpiresAt: iso(row.expires_at),
    cancelRequested: row.cancel !== null,
  };
}

export async function resultView(db: Database, tenant: string, row: OutcomeRow): Promise<RunResult> {
  if (row.status === "succeeded")
    return { status: "succeeded", output: await loadValue(db, tenant, row.output, row.output_blob) };
  if (row.status === "cancelled") return { status: "cancelled", reason: row.reason };
  const failure = decodeValue(row.failure ?? "{}") as Failure;
  const failed = { status: "failed", reason: row.reason, failure } as const;
  if (row.output === null && row.output_blob === null) return failed;
  return { ...failed, partial: await loadValue(db, tenant, row.output, row.output_blob) };
}

/** An entry with its value: inline, or loaded from where it lies apart. */
export async function eventView(db: Database, tenant: string, runId: string, entry: Entry): Promise<RunEvent> {
  const meta = entry.body === null ? {} : (decodeValue(entry.body) as Record<string, unknown>);
  const large = entry.blob === null ? {} : { v: await loadValue(db, tenant, null, entry.blob) };
  return {
    runId,
    seq: entry.seq,
    kind: kindName(entry.kind),
    key: entry.key,
    epoch: entry.epoch,
    at: entry.at.toISOString(),
    data: eventData(entry.kind, { ...meta, ...large }),
  };
}

export function tokensView(runId: string, delta: TokenDelta): TokenEvent {
  return { runId, ephemeral: true, seq: null, ...delta };
}

/** The short names of the journal, spelled out. */
function eventData(kind: number, body: Record<string, unknown>): unknown {
  switch (kind) {
    case KIND.step:
      return {
        attempts: body["n"],
        durationMs: body["ms"] ?? null,
        ...(body["t"] === undefined ? {} : { tokens: { last: body["t"] } }),
        ...(body["f"] === true ? { failure: body["v"] } : { value: body["v"] }),
      };
    case KIND.message:
      return { attempt: body["n"], last: body["t"], text: body["v"] };
    case KIND.attempt:
      if (body["p"] === true) return { attempt: body["n"], postponedUntilMs: body["r"], reason: body["v"] };
      return { attempt: body["n"], durationMs: body["ms"] ?? null, retryAtMs: body["r"], failure: body["v"] };
    case KIND.value:
    case KIND.state:
      return { value: body["v"] };
    case KIND.emit:
      return { name: body["name"], payload: body["v"] };
    case KIND.checkpoint:
      return { generation: body["g"], state: body["v"] };
    case KIND.received:
      return body["by"] === "time"
        ? { by: "time" }
        : {
            by: "message",
            value: body["m"] === undefined ? body["v"] : { ...(body["m"] as object), output: body["v"] },
          };
    case KIND.wait:
      return {
        label: body["label"] ?? null,
        dueMs: body["due"] ?? null,
        approvalId: body["approval"] ?? null,
        request: body["v"],
      };
    case KIND.spawned:
      return { agent: body["agent"], children: body["children"] };
    default:
      return body;
  }
}

export async function approvalView(db: Database, row: ApprovalRow): Promise<Approval> {
  return {
    approvalId: row.approval_id,
    runId: row.run_id,
    tenant: row.tenant_id,
    kind: row.kind,
    name: row.name,
    agent: row.agent,
    request: await loadValue(db, row.tenant_id, row.request, row.request_blob),
    requestHash: row.request_hash,
    status: row.status,
    requestedAt: row.requested_at.toISOString(),
    expiresAt: iso(row.expires_at),
    resolvedAt: iso(row.resolved_at),
    resolvedBy: row.resolved_by,
    answer: row.answer === null ? null : decodeValue(row.answer),
  };
}

/** The steps of a run as a person wants to see them: one line per thing, whatever number of entries it took. */
export function stepViews(events: readonly RunEvent[]): StepView[] {
  const views = new Map<string, StepView>();
  for (const event of events) {
    const view = stepView(event, views.get(event.key ?? `#${event.seq}`));
    if (view !== null) views.set(view.key, view);
  }
  return [...views.values()];
}

function stepView(event: RunEvent, earlier: StepView | undefined): StepView | null {
  const data = event.data as Record<string, unknown>;
  const base = {
    key: event.key ?? `#${event.seq}`,
    seq: event.seq,
    at: event.at,
    attempts: 1,
    durationMs: null,
    value: null,
    failure: null,
  };
  switch (event.kind) {
    case "step": {
      const failed = "failure" in data;
      const durationMs = (data["durationMs"] as number | null) ?? null;
      const outcome = failed
        ? { status: "failed" as const, failure: data["failure"] }
        : { status: "succeeded" as const, value: data["value"] };
      return { ...base, kind: "step", attempts: data["attempts"] as number, durationMs, ...outcome };
    }
    case "attempt":
      if ("postponedUntilMs" in data) {
        const attempts = data["attempt"] as number;
        return { ...base, kind: "step", status: "waiting", attempts, value: data["reason"] };
      }
      return {
        ...base,
        kind: "step",
        status: "retrying",
        attempts: data["attempt"] as number,
        failure: data["failure"],
      };
    case "wait":
      return { ...base, kind: "wait", status: "waiting", value: data["request"] ?? data["label"] };
    case "received":
      // The answer to what a step asked by itself.
      if (event.key === null) return null;
      return {
        ...base,
        kind: earlier?.kind ?? "wait",
        status: "succeeded",
        value: data["by"] === "time" ? "(time)" : data["value"],
      };
    case "spawned":
      return { ...base, kind: "child", status: "succeeded", value: data["children"] };
    case "checkpoint":
      return { ...base, kind: "checkpoint", status: "succeeded", value: data["state"] };
    case "emit":
      return { ...base, kind: "emit", key: `#${event.seq}`, status: "succeeded", value: data };
    case "state":
      return { ...base, kind: "state", status: "succeeded", value: data["value"] };
    case "claimed":
    case "released":
    case "finished":
    case "lost":
    case "resumed":
    case "value":
    case "message":
      return null;
  }
}
