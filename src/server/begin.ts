// From a checked request for a run to a run: a new one in the queue, or the waiting one that the request answers.
import type { BudgetDeclaration } from "../domain/budget.ts";
import { fail } from "../domain/errors.ts";
import type { SubmitOptions, Tenant } from "../runtime/api.ts";
import { requireScope } from "./access.ts";
import { type Ctx, invalid } from "./request.ts";
import { answer } from "./resume.ts";
import type { RunCreate } from "./schemas.ts";
import type { Services } from "./services.ts";
import { runOf } from "./standstill.ts";

export interface Begun {
  readonly runId: string;
  /** Null for a run without a thread. */
  readonly threadId: string | null;
  /** The last journal entry before this request; null when the run is new. */
  readonly resumedAfter: number | null;
}

/**
 * `threadId` is null for LangGraph's stateless runs. The id of such a run stands for its thread, so that it too can be resumed.
 *
 * @throws AGENT_UNKNOWN, NOT_SUPPORTED, THREAD_NOT_FOUND, THREAD_BUSY, INPUT_INVALID, IDEMPOTENCY_MISMATCH and what `answer` throws
 */
export async function begin(
  services: Services,
  c: Ctx,
  tenant: Tenant,
  threadId: string | null,
  body: RunCreate,
): Promise<Begun> {
  refuseUnsupported(body);
  const agent = services.assistants.find(body.assistant_id);
  const resume = body.command?.resume;
  if (resume !== undefined) {
    requireScope(c, "approvals");
    return resumeOn(tenant, threadId, agent.name, resume, c.var.caller.by);
  }
  if (threadId !== null && body.if_not_exists !== "create" && (await tenant.thread(threadId)) === null) {
    throw fail("THREAD_NOT_FOUND", { thread: threadId });
  }
  const handle = await tenant.submit(
    agent.name,
    body.input,
    submitOptions(threadId, body, c.req.header("idempotency-key")),
  );
  return { runId: handle.runId, threadId, resumedAfter: null };
}

async function resumeOn(
  tenant: Tenant,
  threadId: string | null,
  agent: string,
  value: unknown,
  by: string,
): Promise<Begun> {
  if (threadId === null) throw invalid([{ path: "command.resume", message: "only a run on a thread can be resumed" }]);
  const thread = await tenant.thread(threadId);
  const runId = thread === null ? threadId : thread.activeRunId;
  if (runId === null) throw fail("NOTHING_TO_RESUME", { run: `of thread ${threadId}` });
  const run = await tenant.get(runId);
  if (run === null || run.threadId !== (thread === null ? null : threadId))
    throw fail("THREAD_NOT_FOUND", { thread: threadId });
  if (run.agent !== agent) {
    throw invalid([{ path: "assistant_id", message: `the run that waits on this thread is one of ${run.agent}` }]);
  }
  await answer(tenant, runId, value, by);
  return { runId, threadId: run.threadId, resumedAfter: run.journalSeq };
}

/** What the body and the header ask for. Nothing in a body chooses a tenant or a band. */
export function submitOptions(threadId: string | null, body: RunCreate, key: string | undefined): SubmitOptions {
  return {
    options: kwargsOf(body),
    ...(threadId === null
      ? {}
      : {
          threadId,
          ifBusy: body.multitask_strategy === "rollback" ? "enqueue" : (body.multitask_strategy ?? "enqueue"),
        }),
    ...(body.metadata ? { metadata: body.metadata } : {}),
    ...(body.after_seconds ? { delay: { seconds: body.after_seconds } } : {}),
    ...(typeof body.priority === "number" ? { priority: body.priority } : {}),
    ...(typeof body.concurrency_key === "string" ? { concurrencyKey: body.concurrency_key } : {}),
    ...(body.budget ? { budget: budgetOf(body.budget) } : {}),
    ...(typeof body.start_within_seconds === "number" ? { startWithin: { seconds: body.start_within_seconds } } : {}),
    ...(typeof body.dedupe_seconds === "number" ? { dedupe: dedupeOf(body.dedupe_seconds) } : {}),
    ...(key === undefined ? {} : { idempotencyKey: key }),
  };
}

/** As JSON writes names: `output_tokens`. What is unknown keeps its name, and is refused with it. */
function budgetOf(body: Readonly<Record<string, unknown>>): BudgetDeclaration {
  const named = Object.entries(body).filter(([, value]) => value !== null);
  return Object.fromEntries(named.map(([name, value]) => [BUDGET_NAMES.get(name) ?? name, value]));
}

const BUDGET_NAMES = new Map([
  ["input_tokens", "inputTokens"],
  ["output_tokens", "outputTokens"],
  ["wall_minutes", "wallMinutes"],
  ["on_exceeded", "onExceeded"],
]);

/** 0: not even if the agent says so. */
function dedupeOf(seconds: number): NonNullable<SubmitOptions["dedupe"]> {
  return seconds > 0 && { ttl: { seconds } };
}

/** Kept with the run and given back as its `kwargs`. The input is not: it is stored once, with the run itself. */
function kwargsOf(body: RunCreate): Record<string, unknown> {
  const { assistant_id: _agent, input: _input, metadata: _metadata, if_not_exists: _ifNotExists, ...kept } = body;
  return Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined && value !== null));
}

/** What we cannot do yet is refused, not dropped: a caller who asked for it relies on it. */
export function refuseUnsupported(body: RunCreate): void {
  const asked: readonly (readonly [string, boolean])[] = [
    ["multitask_strategy: rollback", body.multitask_strategy === "rollback"],
    ["webhook", (body.webhook ?? "") !== ""],
    ["interrupt_before", (body.interrupt_before ?? []).length > 0],
    ["interrupt_after", (body.interrupt_after ?? []).length > 0],
    ["checkpoint", (body.checkpoint ?? null) !== null || (body.checkpoint_id ?? null) !== null],
    ["command.update", (body.command?.update ?? null) !== null],
    ["command.goto", (body.command?.goto ?? null) !== null],
  ];
  const refused = asked.find(([, wanted]) => wanted);
  if (refused !== undefined) throw notSupported(refused[0]);
}

export function notSupported(feature: string) {
  return fail("NOT_SUPPORTED", { feature });
}

/** The run that a path names, when it is on the thread that the path names. @throws RUN_NOT_FOUND */
export async function runOnThread(tenant: Tenant, runId: string, threadId: string | null) {
  const run = await runOf(tenant, runId);
  if (threadId !== null && (run.threadId ?? run.runId) !== threadId) throw fail("RUN_NOT_FOUND", { run: runId });
  return run;
}
