// The verbs a process offers on a Longhaul installation: what the server, the command line and a user's program call.
import type { Agent, AnyAgent } from "../agents/ctx.ts";
import type { Approval, ApprovalStatus } from "../domain/approval.ts";
import type { BudgetDeclaration, BudgetLimits, BudgetView } from "../domain/budget.ts";
import type { ConcentrationReport, CostReport } from "../domain/costs.ts";
import type { DurationInput } from "../domain/duration.ts";
import type { RunEvent } from "../domain/entry.ts";
import type { Run, RunResult, RunStatus } from "../domain/run.ts";
import type { TokenEvent } from "../domain/tokens.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { Billing, ChargePage, CostOptions, CostPeriod, ListCharges } from "./costs-api.ts";
import type { Keys } from "./keys-api.ts";
import type { AdmissionView, DeadFilter, DeadLetter, DeadNews, ListDead, Plans, Tenants } from "./limits-api.ts";
import type { LoadAlert, LoadReport, ScaleOptions, ScaleReport } from "./load-views.ts";

export interface SubmitOptions {
  /** Chosen by the caller, a UUID: makes a retried submit safe. Default a new UUIDv7. */
  readonly runId?: string;
  /** One run per key and tenant; the same key with another request is refused (IDEMPOTENCY_MISMATCH). */
  readonly idempotencyKey?: string;
  /**
   * A run of the same agent, input, thread and configuration that was submitted not longer ago stands for this one: while it is under way, and
   * when it has succeeded. `false`: not even if the agent says so. Not for submits with a `runId`, an `idempotencyKey` or a `tx`.
   */
  readonly dedupe?: { readonly ttl: DurationInput } | false;
  readonly threadId?: string;
  /** When the thread has an active run: wait in its line (default), refuse (THREAD_BUSY), or stop the active one first. */
  readonly ifBusy?: "enqueue" | "reject" | "interrupt";
  /** Default: the agent's queue. */
  readonly queue?: string;
  readonly build?: string;
  /** Within the tenant: 0 first, 32,767 last. Default 100. */
  readonly priority?: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Kept with the run and given back, not interpreted (the HTTP API stores LangGraph's kwargs here). */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Within the tenant, runs of one agent with the same key run as many at once as the agent's `concurrency.perKey` says; else one. */
  readonly concurrencyKey?: string;
  /** Not before this long, or this moment: at most ten years ahead. A moment that has passed is now. */
  readonly delay?: DurationInput;
  readonly runAt?: Date;
  /** A run that nobody has started by then ends as cancelled, with the reason `expired`. Counts from now, or from `runAt`. */
  readonly startWithin?: DurationInput;
  /** What it may spend, with every run below it. The stricter of this and the agent's own holds. */
  readonly budget?: BudgetDeclaration;
  /** Take part in the caller's own transaction: anything with pg's `query(text, values)`. Not with an idempotency key. */
  readonly tx?: { query(text: string, values: unknown[]): Promise<unknown> };
}

/** One of many submits. */
export interface SubmitItem extends SubmitOptions {
  readonly agent: AnyAgent | string;
  readonly input?: unknown;
}

/** What became of one of many submits: its run, or why there is none. */
export type SubmitAnswer = { readonly run: RunHandle } | { readonly error: Error };

/** A submitted run. */
export interface RunHandle<Out = unknown> {
  readonly runId: string;
  readonly threadId: string | null;
  /** True when an idempotency key or run id found a run that was already there. */
  readonly existing: boolean;
  /** Waits for the end. @throws RUN_FAILED, RUN_CANCELLED, WAIT_TIMEOUT */
  result(options?: WaitForOptions): Promise<Out>;
  events(options?: EventsOptions): AsyncIterable<RunEvent>;
  events(options: EventsOptions & { readonly tokens: boolean }): AsyncIterable<RunEvent | TokenEvent>;
  cancel(reason?: string): Promise<CancelVerdict>;
}

export interface WaitForOptions {
  readonly timeoutMs?: number;
  readonly abort?: AbortSignal;
}

export interface EventsOptions {
  /** Only entries after this one. Default 0: all. */
  readonly after?: number;
  readonly abort?: AbortSignal;
}

export type CancelVerdict = "cancelled" | "requested" | "finished";

export interface ListRuns {
  readonly status?: RunStatus | readonly RunStatus[];
  readonly agent?: string;
  readonly threadId?: string;
  readonly parentId?: string;
  /** Containment in the run's metadata. */
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Only these runs. */
  readonly runIds?: readonly string[];
  /** Newest first. Default 20, at most 200. */
  readonly limit?: number;
  /** Only runs older than this one. */
  readonly before?: string;
  readonly offset?: number;
}

/** A step as a person wants to see it. */
export interface StepView {
  readonly key: string;
  readonly seq: number;
  readonly kind: "step" | "wait" | "child" | "checkpoint" | "emit" | "state";
  readonly status: "succeeded" | "failed" | "retrying" | "waiting" | "running";
  readonly attempts: number;
  readonly at: string;
  readonly durationMs: number | null;
  readonly value: unknown;
  readonly failure: unknown;
}

export interface RunDetail extends Run {
  readonly input: unknown;
  readonly result: RunResult | null;
  readonly waits: readonly WaitView[];
  readonly steps: readonly StepView[];
  readonly children: readonly { readonly runId: string; readonly agent: string; readonly status: RunStatus }[];
}

export interface WaitView {
  readonly key: string;
  readonly label: string;
  readonly dueAt: string | null;
}

/** What a run waits for and what would move it, in one sentence; and the same as data. */
export interface Why {
  readonly runId: string;
  readonly status: RunStatus;
  readonly sentence: string;
  /**
   * Queued: `delay`, `isolated`, `thread`, `tenant_paused`, `cap` (its plan's), `key_limit`, `agent_limit`, `no_worker`, `expires`
   * (nothing holds it, but its time is running out), `behind`. Running: `lease`. Waiting: `approval`, `signal`, `timer`, `child`, `budget`.
   * `paused`, `finished`.
   */
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** Commands that would move it. */
  readonly commands: readonly string[];
}

export interface Answer {
  /** Who answers: from authentication, never from the payload. */
  readonly by: string;
  readonly comment?: string;
  /** Edited arguments. Default: what was asked. */
  readonly args?: unknown;
}

export interface Thread {
  readonly threadId: string;
  readonly tenant: string;
  readonly agent: string | null;
  readonly status: "idle" | "busy" | "interrupted" | "error";
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly state: unknown;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly activeRunId: string | null;
  /** Pending questions of the active run. */
  readonly interrupts: readonly Approval[];
}

export interface WorkerView {
  readonly workerId: string;
  readonly host: string;
  readonly pid: number;
  readonly build: string;
  readonly queues: readonly string[];
  readonly agents: readonly string[];
  readonly slots: number;
  readonly running: number;
  readonly state: "active" | "draining" | "stopped" | "lost";
  readonly startedAt: string;
  readonly seenAt: string;
  readonly version: string;
}

export interface QueueView {
  readonly queue: string;
  readonly tenant: string;
  readonly build: string;
  readonly depth: number;
  readonly inFlight: number;
  readonly cap: number | null;
  readonly paused: boolean;
  /** Upper bound of the wait of the oldest claimable run. */
  readonly oldestMs: number | null;
  readonly workers: number;
}

/** Runs that failed for good, until somebody deals with them. */
export interface DeadLetters {
  list(filter?: ListDead): Promise<DeadLetter[]>;
  /**
   * A new run that keeps every recorded success; the letter goes in the same transaction. Safe to repeat: it gives the same run.
   * A paused run is released. @throws RUN_NOT_FOUND, DEAD_LETTER_NOT_FOUND
   */
  retry(runId: string, options: { readonly by: string }): Promise<RunHandle>;
  /**
   * A new run from the start, with another input; the letter goes in the same transaction. Safe to repeat with the same input.
   * `agent`: whose schema checks it; default the agent of this process that has the run's name.
   * @throws RUN_NOT_FOUND, DEAD_LETTER_NOT_FOUND, AGENT_UNKNOWN, INPUT_INVALID
   */
  edit(runId: string, input: unknown, options?: { readonly agent?: AnyAgent }): Promise<RunHandle>;
  /** Removes the letter; the run and its outcome stay. @throws RUN_NOT_FOUND, DEAD_LETTER_NOT_FOUND */
  discard(runId: string): Promise<void>;
  /** Retries what the filter names, oldest first, and nothing that died after the call. Default: without a limit. */
  retryAll(
    filter: DeadFilter,
    options: { readonly by: string; readonly limit?: number | undefined },
  ): AsyncIterable<DeadNews>;
  discardAll(filter: DeadFilter, options?: { readonly limit?: number | undefined }): AsyncIterable<DeadNews>;
}

/** The verbs, for one tenant. Ids of other tenants answer as unknown ones (RUN_NOT_FOUND, 404). */
export interface Tenant {
  readonly tenantId: string;
  readonly deadLetters: DeadLetters;
  submit<In, Out>(agent: Agent<In, Out>, input: In, options?: SubmitOptions): Promise<RunHandle<Out>>;
  submit(agent: string, input?: unknown, options?: SubmitOptions): Promise<RunHandle>;
  /**
   * Submits up to 1,000 runs in statements of up to 500. All are checked before the first is stored. One answer per item, in their
   * order: what is refused, by its checks or by the tenant's plan, does not hold up the others. @throws BATCH_TOO_LARGE
   */
  submitMany(items: readonly SubmitItem[]): Promise<SubmitAnswer[]>;
  /** Submits and waits. @throws RUN_FAILED, RUN_CANCELLED, WAIT_TIMEOUT */
  run<In, Out>(agent: Agent<In, Out>, input: In, options?: SubmitOptions & WaitForOptions): Promise<Out>;
  run(agent: string, input?: unknown, options?: SubmitOptions & WaitForOptions): Promise<unknown>;
  /** Waits for the end of a run and gives its result, also when it failed. */
  wait(runId: string, options?: WaitForOptions): Promise<RunResult>;
  /** Every journaled event once and in order, from `after`; ends after the last. */
  stream(runId: string, options?: EventsOptions): AsyncIterable<RunEvent>;
  /** With `tokens`: between them what steps are writing at the moment, best effort. */
  stream(runId: string, options: EventsOptions & { readonly tokens: boolean }): AsyncIterable<RunEvent | TokenEvent>;
  get(runId: string): Promise<Run | null>;
  inspect(runId: string): Promise<RunDetail | null>;
  list(filter?: ListRuns): Promise<Run[]>;
  result(runId: string): Promise<RunResult | null>;
  why(runId: string): Promise<Why>;
  cancel(runId: string, reason?: string): Promise<CancelVerdict>;
  /** @throws RUN_NOT_FOUND, RUN_FINISHED, INBOX_FULL */
  signal(runId: string, name: string, payload?: unknown): Promise<void>;
  approvals(filter?: { status?: ApprovalStatus; runId?: string; limit?: number }): Promise<Approval[]>;
  /** @throws APPROVAL_NOT_FOUND (404), APPROVAL_TAKEN (409, details: the winning answer), APPROVAL_EXPIRED, APPROVAL_GONE (410) */
  approve(approvalId: string, answer: Answer): Promise<Approval>;
  deny(approvalId: string, answer: Answer): Promise<Approval>;
  /** Answers an interrupt with any value. */
  resume(approvalId: string, value: unknown, by: string): Promise<Approval>;
  /** A paused run goes on; a finished one becomes a new run that keeps every recorded success. */
  retry(runId: string, options: { by: string }): Promise<RunHandle>;
  /** A new run from this one's journal up to (not with) a step. Default: from the start. */
  fork(runId: string, options?: { beforeStep?: string; input?: unknown }): Promise<RunHandle>;
  /**
   * Opens a budget for calls outside of runs, below the tenant's own: steps are not counted there. The same key gives the same budget.
   *
   * @throws BUDGET_INVALID
   */
  openBudget(limits: BudgetLimits, options?: { readonly idempotencyKey?: string | undefined }): Promise<BudgetView>;
  /** Null for one that the tenant does not have. A run that declares a budget has one with the run's id. */
  budget(budgetId: string): Promise<BudgetView | null>;
  /** Raises what it limits by this much. Runs that ask a person for it go on. @throws BUDGET_NOT_FOUND, BUDGET_INVALID */
  raiseBudget(budgetId: string, by: BudgetLimits, options: { readonly by: string }): Promise<BudgetView>;
  createThread(options?: {
    threadId?: string;
    metadata?: Record<string, unknown>;
    ifExists?: "raise" | "do_nothing";
  }): Promise<Thread>;
  thread(threadId: string): Promise<Thread | null>;
  /** What its model calls have cost. @throws REQUEST_INVALID, DURATION_INVALID */
  costs(options?: CostOptions): Promise<CostReport>;
  /** How much of it the most expensive of its runs have. @throws DURATION_INVALID */
  concentration(options?: CostPeriod): Promise<ConcentrationReport>;
  /** What its finished runs are charged, in the order in which they ended. @throws DURATION_INVALID */
  charges(filter?: ListCharges): Promise<ChargePage>;
}

/** An open installation. The verbs act for the tenant `default`; `tenant(id)` gives them for another. */
export interface Longhaul extends Tenant {
  readonly agents: readonly AnyAgent[];
  readonly keys: Keys;
  readonly plans: Plans;
  readonly tenants: Tenants;
  /** Costs and charges of all tenants. */
  readonly billing: Billing;
  /** Models, for whoever calls them outside of runs. */
  readonly gateway: Gateway;
  tenant(tenantId: string): Tenant;
  workers(): Promise<WorkerView[]>;
  queues(): Promise<QueueView[]>;
  /** What waits, who serves it, and what holds it back. `tenant`: name no other tenant. */
  load(options?: { readonly tenant?: string }): Promise<LoadReport>;
  /** How many workers the load asks for. @throws REQUEST_INVALID, KEY_INVALID */
  scale(options?: ScaleOptions): Promise<ScaleReport>;
  /** What became late or unserved since anybody asked, or is well again: each change is told once, to one caller. */
  alerts(options: { readonly slaMs: number }): Promise<LoadAlert[]>;
  /** Id of the worker in this process, or null. */
  readonly workerId: string | null;
  /** Lets the leases of a worker lapse at once, because it is known to be dead. Answers how many runs were taken from it. */
  freeWorker(workerId: string, options?: { readonly canIsolate?: boolean }): Promise<number>;
  /** Whether this process takes submits at this moment, and if not, why. */
  admission(): Promise<AdmissionView>;
  /** True when the database answers. */
  healthy(): Promise<boolean>;
  /** Drains this process's worker if it has one, closes connections, stops the embedded database if this process started it. */
  close(): Promise<void>;
}
