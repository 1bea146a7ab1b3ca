// The verbs of an installation for one tenant.
import type { AnyAgent } from "../agents/ctx.ts";
import type { BudgetLimits, BudgetView } from "../domain/budget.ts";
import type { ConcentrationReport, CostReport } from "../domain/costs.ts";
import { formatDuration } from "../domain/duration.ts";
import type { RunEvent } from "../domain/entry.ts";
import { fail } from "../domain/errors.ts";
import { fromFailure } from "../domain/failure.ts";
import { checkKey } from "../domain/key.ts";
import { INBOX_MESSAGES_MAX, PAGE_SIZE_MAX } from "../domain/limits.ts";
import { signalKey } from "../domain/message.ts";
import type { Run, RunResult } from "../domain/run.ts";
import type { TokenEvent } from "../domain/tokens.ts";
import { encodeValue } from "../domain/value.ts";
import { cancelRun, deliver } from "../store/finish.ts";
import { readEntries } from "../store/journal.ts";
import { listRuns, readChildren, readWaits } from "../store/read.ts";
import type {
  Answer,
  CancelVerdict,
  EventsOptions,
  ListRuns,
  RunDetail,
  RunHandle,
  SubmitAnswer,
  SubmitItem,
  SubmitOptions,
  Tenant,
  Thread,
  WaitForOptions,
  Why,
} from "./api.ts";
import { answerInterrupt, decide, pendingApprovals } from "./approvals.ts";
import { openBudgetOf, raiseBudgetOf, viewBudgetOf } from "./budgets.ts";
import { chargesOf, concentrationOf, costsOf } from "./costs.ts";
import type { ChargePage, CostOptions, CostPeriod, ListCharges } from "./costs-api.ts";
import { DeadLetterVerbs } from "./dead-letters.ts";
import { forkAt, retryRun } from "./fork.ts";
import { answering, type Installation, loadValue } from "./installation.ts";
import { submit } from "./submit.ts";
import { submitMany } from "./submit-many.ts";
import { makeThread, viewThread } from "./threads.ts";
import { isUuid } from "./uuid.ts";
import { eventView, resultView, runView, stepViews, tokensView } from "./views.ts";
import { why } from "./why.ts";

const LIST_DEFAULT = 20;
const ENTRIES_SHOWN = 5_000;

export class TenantVerbs implements Tenant {
  readonly tenantId: string;
  readonly deadLetters: DeadLetterVerbs;
  readonly #installation: Installation;

  constructor(installation: Installation, tenantId: string) {
    this.#installation = installation;
    this.tenantId = checkKey("tenant", tenantId);
    this.deadLetters = new DeadLetterVerbs(installation, this, (runId, existing) =>
      this.#handle(runId, null, existing),
    );
  }

  // biome-ignore lint/suspicious/noExplicitAny: the overloads of the interface give the types
  async submit(agent: AnyAgent | string, input?: unknown, options: SubmitOptions = {}): Promise<RunHandle<any>> {
    const placed = await answering(() => submit(this.#installation, this.tenantId, agent, input, options));
    return this.#handle(placed.runId, options.threadId ?? null, placed.existing);
  }

  async submitMany(items: readonly SubmitItem[]): Promise<SubmitAnswer[]> {
    const answers = await submitMany(this.#installation, this.tenantId, items);
    return answers.map((answer, i) => {
      if ("error" in answer) return answer;
      const { runId, existing } = answer.value;
      return { run: this.#handle(runId, items[i]?.threadId ?? null, existing) };
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: the overloads of the interface give the types
  async run(agent: AnyAgent | string, input?: unknown, options: SubmitOptions & WaitForOptions = {}): Promise<any> {
    return (await this.submit(agent, input, options)).result(options);
  }

  async wait(runId: string, options: WaitForOptions = {}): Promise<RunResult> {
    const run = await this.#existing(runId);
    const timer = new AbortController();
    const timeout = options.timeoutMs === undefined ? undefined : setTimeout(() => timer.abort(), options.timeoutMs);
    const signal = options.abort === undefined ? timer.signal : AbortSignal.any([timer.signal, options.abort]);
    try {
      if (run.finishedAt === null) await this.#installation.followers.ended(run.runId, signal);
    } finally {
      clearTimeout(timeout);
    }
    const result = await this.result(run.runId);
    if (result !== null) return result;
    options.abort?.throwIfAborted();
    if (!timer.signal.aborted) throw fail("CLOSED");
    throw fail("WAIT_TIMEOUT", { run: run.runId, timeout: formatDuration(options.timeoutMs ?? 0) });
  }

  stream(runId: string, options?: EventsOptions): AsyncGenerator<RunEvent>;
  stream(runId: string, options: EventsOptions & { readonly tokens: boolean }): AsyncGenerator<RunEvent | TokenEvent>;
  async *stream(
    runId: string,
    options: EventsOptions & { readonly tokens?: boolean } = {},
  ): AsyncGenerator<RunEvent | TokenEvent> {
    const run = await this.#existing(runId);
    const { db, followers } = this.#installation;
    const { after = 0, abort, tokens = false } = options;
    // Nothing will ever come after the last entry of an ended run.
    if (run.finishedAt !== null && after >= run.journalSeq) return;
    const all = tokens
      ? followers.followWithTokens(run.runId, after, abort)
      : followers.follow(run.runId, after, abort);
    for await (const news of all) {
      yield news.kind === "tokens"
        ? tokensView(run.runId, news)
        : await answering(() => eventView(db, this.tenantId, run.runId, news));
    }
  }

  async get(runId: string): Promise<Run | null> {
    if (!isUuid(runId)) return null;
    const row = await answering(() => this.#installation.reads.run(this.tenantId, runId));
    return row === null ? null : runView(row);
  }

  async inspect(runId: string): Promise<RunDetail | null> {
    if (!isUuid(runId)) return null;
    const { db, reads } = this.#installation;
    return answering(async () => {
      const row = await reads.run(this.tenantId, runId);
      if (row === null) return null;
      const run = runView(row);
      const [input, result, waits, entries, children] = await Promise.all([
        loadValue(db, this.tenantId, row.input, row.input_blob),
        this.result(runId),
        readWaits(db, runId),
        readEntries(db, runId, 0, ENTRIES_SHOWN),
        readChildren(db, this.tenantId, runId),
      ]);
      const events = await Promise.all(entries.map((entry) => eventView(db, this.tenantId, runId, entry)));
      return {
        ...run,
        input,
        result,
        waits: waits.map((wait) => ({ key: wait.key, label: wait.label, dueAt: wait.due_at?.toISOString() ?? null })),
        steps: stepViews(events),
        children: children.map((child) => ({
          runId: child.run_id,
          agent: child.agent,
          status: child.status as Run["status"],
        })),
      };
    });
  }

  async list(filter: ListRuns = {}): Promise<Run[]> {
    for (const id of [filter.threadId, filter.parentId, filter.before]) if (id !== undefined && !isUuid(id)) return [];
    const statuses =
      filter.status === undefined ? null : typeof filter.status === "string" ? [filter.status] : filter.status;
    const rows = await answering(() =>
      listRuns(this.#installation.db, this.tenantId, {
        status: statuses,
        agent: filter.agent ?? null,
        threadId: filter.threadId ?? null,
        parentId: filter.parentId ?? null,
        metadata: filter.metadata === undefined ? null : JSON.stringify(filter.metadata),
        runIds: filter.runIds?.filter(isUuid) ?? null,
        before: filter.before ?? null,
        limit: Math.min(Math.max(1, filter.limit ?? LIST_DEFAULT), PAGE_SIZE_MAX),
        offset: Math.max(0, filter.offset ?? 0),
      }),
    );
    return rows.map(runView);
  }

  async result(runId: string): Promise<RunResult | null> {
    if (!isUuid(runId)) return null;
    const { db, reads } = this.#installation;
    return answering(async () => {
      const row = await reads.outcome(this.tenantId, runId);
      return row === null ? null : resultView(db, this.tenantId, row);
    });
  }

  async why(runId: string): Promise<Why> {
    const run = await this.#existing(runId);
    return answering(() => why(this.#installation.db, run));
  }

  async cancel(runId: string, reason = "cancelled by hand"): Promise<CancelVerdict> {
    const run = await this.#existing(runId);
    const verdict = await answering(() => cancelRun(this.#installation.db, run.runId, reason.slice(0, 1_000)));
    this.#installation.doorbell.ring("inbox", run.runId);
    this.#installation.doorbell.ring("ready", run.runId);
    if (verdict === "cancelled") this.#installation.doorbell.ring("finished", run.runId);
    if (verdict === "unknown") throw fail("RUN_NOT_FOUND", { run: runId });
    return verdict;
  }

  async signal(runId: string, name: string, payload?: unknown): Promise<void> {
    const run = await this.#existing(runId);
    const key = signalKey(checkKey("signal name", name));
    const message = {
      runId: run.runId,
      kind: "signal",
      key,
      body: encodeValue(payload),
      blob: null,
      inboxMax: INBOX_MESSAGES_MAX,
    } as const;
    const verdict = await answering(() => deliver(this.#installation.db, message));
    if (verdict === "unknown") throw fail("RUN_NOT_FOUND", { run: runId });
    if (verdict === "finished")
      throw fail("RUN_FINISHED", { run: runId, status: (await this.get(runId))?.status ?? "ended" });
    if (verdict === "full") throw fail("INBOX_FULL", { run: runId, limit: INBOX_MESSAGES_MAX });
    this.#installation.doorbell.ring("ready", run.runId);
    this.#installation.doorbell.ring("inbox", run.runId);
  }

  approvals(filter: Parameters<Tenant["approvals"]>[0] = {}): ReturnType<Tenant["approvals"]> {
    return answering(() => pendingApprovals(this.#installation, this.tenantId, filter));
  }

  approve(approvalId: string, answer: Answer): ReturnType<Tenant["approve"]> {
    return answering(() => decide(this.#installation, this.tenantId, approvalId, "approved", answer));
  }

  deny(approvalId: string, answer: Answer): ReturnType<Tenant["deny"]> {
    return answering(() => decide(this.#installation, this.tenantId, approvalId, "denied", answer));
  }

  resume(approvalId: string, value: unknown, by: string): ReturnType<Tenant["resume"]> {
    return answering(() => answerInterrupt(this.#installation, this.tenantId, approvalId, value, by));
  }

  async retry(runId: string, { by }: { by: string }): Promise<RunHandle> {
    const run = await this.#existing(runId);
    const next = await answering(() => retryRun(this.#installation, run, by));
    const same = next === run.runId;
    return this.#handle(next, same ? run.threadId : null, same);
  }

  async fork(runId: string, options: { beforeStep?: string; input?: unknown } = {}): Promise<RunHandle> {
    const run = await this.#existing(runId);
    const next = await answering(() => forkAt(this.#installation, run, options.beforeStep ?? null, options.input));
    return this.#handle(next, null, false);
  }

  openBudget(limits: BudgetLimits, options: Parameters<Tenant["openBudget"]>[1] = {}): Promise<BudgetView> {
    const { idempotencyKey = null } = options;
    return answering(() => openBudgetOf(this.#installation, this.tenantId, limits, idempotencyKey));
  }

  budget(budgetId: string): Promise<BudgetView | null> {
    return answering(() => viewBudgetOf(this.#installation, this.tenantId, budgetId));
  }

  raiseBudget(budgetId: string, by: BudgetLimits, options: { readonly by: string }): Promise<BudgetView> {
    return answering(() => raiseBudgetOf(this.#installation, this.tenantId, budgetId, by, options.by));
  }

  createThread(options: Parameters<Tenant["createThread"]>[0] = {}): Promise<Thread> {
    return answering(() => makeThread(this.#installation, this.tenantId, options));
  }

  thread(threadId: string): Promise<Thread | null> {
    return answering(() => viewThread(this.#installation, this.tenantId, threadId));
  }

  costs(options: CostOptions = {}): Promise<CostReport> {
    return costsOf(this.#installation.db, this.tenantId, options);
  }

  concentration(options: CostPeriod = {}): Promise<ConcentrationReport> {
    return concentrationOf(this.#installation.db, this.tenantId, options);
  }

  charges(filter: ListCharges = {}): Promise<ChargePage> {
    return chargesOf(this.#installation.db, this.tenantId, filter);
  }

  async #existing(runId: string): Promise<Run> {
    const run = await this.get(runId);
    if (run === null) throw fail("RUN_NOT_FOUND", { run: String(runId).slice(0, 100) });
    return run;
  }

  #handle(runId: string, threadId: string | null, existing: boolean): RunHandle {
    return {
      runId,
      threadId,
      existing,
      result: (options) => this.wait(runId, options).then((result) => this.#output(runId, result)),
      events: (options: EventsOptions & { readonly tokens: boolean } = { tokens: false }) =>
        this.stream(runId, options) as AsyncGenerator<RunEvent>,
      cancel: (reason) => this.cancel(runId, reason),
    };
  }

  #output(runId: string, result: RunResult): unknown {
    if (result.status === "succeeded") return result.output;
    if (result.status === "cancelled")
      throw fail("RUN_CANCELLED", { run: runId, reason: result.reason ?? "no reason given" });
    throw fail(
      "RUN_FAILED",
      { run: runId, reason: result.failure.message },
      { cause: fromFailure(result.failure), details: result.failure },
    );
  }
}
