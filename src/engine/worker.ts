// A worker: claims runs, executes them side by side, keeps their leases, and hands them over when it must stop.
import type { ChildProcess } from "node:child_process";
import { hostname } from "node:os";
import type { Entry } from "../domain/entry.ts";
import type { Message } from "../domain/message.ts";
import { type Claimed, claimIsolated } from "../store/claim.ts";
import type { Database } from "../store/database.ts";
import { isConnectionLost } from "../store/driver-errors.ts";
import { cancelRun, deliver } from "../store/finish.ts";
import { readForReplay, readInbox, readNews } from "../store/journal.ts";
import { readClock, registerWorker, setWorkerState } from "../store/sweep.ts";
import { readThreadStates } from "../store/threads.ts";
import { countTraffic } from "../store/traffic.ts";
import { ClaimLoop } from "./claim.ts";
import { Committer, untilAnswered } from "./commit.ts";
import type { Doorbell, HintHandler, Topic } from "./doorbell.ts";
import { Execution, type ExecutionOwner, type Programs } from "./execution.ts";
import { LeaseKeeper } from "./lease.ts";
import { missingProgram } from "./program.ts";
import type { ExecutionSettings, Standing } from "./roles.ts";
import { Slots } from "./slots.ts";
import { Ticker } from "./sweep.ts";
import { DatabaseClock, pause } from "./timing.ts";
import { Traffic } from "./traffic.ts";
import { WarmRuns } from "./warm.ts";

export type Logger = (
  level: "debug" | "info" | "warn" | "error",
  message: string,
  fields?: Record<string, unknown>,
) => void;

export interface WorkerOptions {
  readonly db: Database;
  readonly doorbell: Doorbell;
  readonly programs: Programs;
  readonly workerId: string;
  readonly version: string;
  readonly build: string;
  readonly queues: readonly string[];
  /** Runs at once of those queues that must not fill all slots. */
  readonly queueSlots: ReadonlyMap<string, number>;
  readonly slots: number;
  readonly leaseMs: number;
  readonly drainMs: number;
  readonly stallMs: number;
  readonly endWhenStalled: boolean;
  readonly tickMs: number;
  /** How long, and how many, waiting runs are kept live. */
  readonly warmMs: number;
  readonly warmMax: number;
  readonly settings: ExecutionSettings;
  /** Starts a process that runs one run and nothing else; without it a poisonous run is paused one crash earlier. */
  readonly isolate: ((runId: string, workerId: string) => ChildProcess) | null;
  /** Run this one run and nothing else. */
  readonly onlyRun: string | null;
  readonly log: Logger;
}

export class Worker implements ExecutionOwner {
  readonly committer: Committer;
  readonly clock = new DatabaseClock();
  readonly settings: ExecutionSettings;
  readonly programs: Programs;
  readonly log: Logger;
  readonly #options: WorkerOptions;
  readonly #running = new Map<string, Execution>();
  readonly #slots: Slots;
  readonly #leases: LeaseKeeper;
  readonly #claims: ClaimLoop;
  readonly #ticker: Ticker;
  readonly #warm: WarmRuns;
  readonly #traffic = new Traffic();
  readonly #unsubscribe: (() => void)[] = [];
  #draining: Promise<void> | null = null;
  #idle: (() => void) | null = null;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.settings = options.settings;
    this.programs = options.programs;
    this.log = options.log;
    const { db, workerId, leaseMs } = options;
    this.committer = new Committer({ db, workerId, leaseMs, onFinished: (runId) => this.#finished(runId) });
    this.#warm = new WarmRuns(options.warmMs, options.warmMax);
    this.#slots = new Slots(options.slots, options.queueSlots);
    this.#leases = new LeaseKeeper({
      ...options,
      onBeat: (row) => this.#heard(row.run_id, row.held, row.cancel, row.inbox_seq),
      onDoubt: (runId) => this.#held(runId)?.doubt(),
      onLapsed: (runId) => this.#held(runId)?.lose(),
    });
    this.#claims = new ClaimLoop({
      ...options,
      freeSlots: (queue) => (this.#draining === null ? this.#slots.free(queue) : 0),
      onClaimed: (claims, sentMs) => this.#take(claims, sentMs),
      onError: (error) => this.log("error", "claiming failed", { error }),
    });
    this.#ticker = new Ticker({
      ...options,
      onRunnable: () => this.#claims.poke(),
      onMoved: () => this.hint("ready", workerId),
      cancelChild: (runId) => this.cancelChild(runId),
      flushTraffic: () => this.#flushTraffic(),
    });
  }

  /** True when it tries suspicious runs in processes of their own. */
  get canIsolate(): boolean {
    return this.#options.isolate !== null;
  }

  get running(): number {
    return this.#running.size;
  }

  async start(): Promise<void> {
    const { db, workerId, slots, build, queues, programs, version, onlyRun } = this.#options;
    await registerWorker(db, {
      worker_id: workerId,
      pid: process.pid,
      host: hostname(),
      slots,
      build,
      queues: onlyRun === null ? queues : [],
      agents: [...programs.keys()],
      version,
    });
    // Before anything is timed by it: quick answers tell the database's clock best.
    for (let i = 0; i < CLOCK_SAMPLES; i++) this.clock.observe(await readClock(db));
    this.#leases.start();
    this.#listen("inbox", (runIds) => void this.#news(runIds));
    if (onlyRun !== null) return this.#takeIsolated(onlyRun);
    this.#listen("ready", () => this.#claims.poke());
    this.#ticker.start();
    this.#claims.poke();
  }

  /** Resolves when nothing runs here any more. */
  async untilIdle(): Promise<void> {
    while (this.#running.size > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
  }

  /**
   * Stops claiming, gives the steps in flight their time, hands every run over at its next boundary, and ends. Uses up no attempt.
   */
  drain(drainMs = this.#options.drainMs): Promise<void> {
    this.#draining ??= this.#drain(drainMs);
    return this.#draining;
  }

  // --- what executions ask -------------------------------------------------------------------------------------------

  onReleased(execution: Execution): void {
    if (this.#running.get(execution.runId) !== execution) {
      execution.forget();
      return;
    }
    this.#forget(execution);
    if (this.#draining === null) this.#warm.keep(execution);
    else execution.forget();
    if (execution.wakesAtMs !== null) this.#ticker.due(execution.wakesAtMs - this.clock.now());
    // The wait may have been satisfied in the same commit (a child's end beside it): look.
    this.hint("ready", execution.runId);
  }

  onOver(execution: Execution): void {
    if (this.#running.get(execution.runId) !== execution) return;
    this.#forget(execution);
    this.hint("finished", execution.runId);
    this.hint("ready", execution.runId);
  }

  onLeaseExtended(execution: Execution, sentMs: number): void {
    this.#leases.extended(execution.runId, sentMs);
  }

  standing(execution: Execution): Standing {
    return this.#leases.standing(execution.runId, execution.epoch);
  }

  hint(topic: Topic, runId: string): void {
    this.#options.doorbell.ring(topic, runId);
  }

  nudge(runId: string): void {
    const message = { runId, kind: "nudge", key: "*", body: null, blob: null, inboxMax: INBOX_UNLIMITED } as const;
    untilAnswered(() => deliver(this.#options.db, message), this.#options.leaseMs).then(
      () => this.hint("ready", runId),
      (error) => this.log("warn", "a released run could not be called back", { runId, error }),
    );
  }

  cancelChild(runId: string): void {
    void untilAnswered(() => cancelRun(this.#options.db, runId, "parent ended"), this.#options.leaseMs).then(
      (verdict) => this.hint(verdict === "requested" ? "inbox" : "ready", runId),
      (error) => this.log("warn", "a child could not be cancelled now", { runId, error }),
    );
  }

  loadInbox(runId: string, after: number): Promise<Message[]> {
    return untilAnswered(() => readInbox(this.#options.db, [runId], [after]), this.#options.leaseMs);
  }

  // --- inside --------------------------------------------------------------------------------------------------------

  #listen(topic: Topic, handler: HintHandler): void {
    this.#unsubscribe.push(this.#options.doorbell.on(topic, handler));
  }

  async #takeIsolated(runId: string): Promise<void> {
    const { db, workerId, leaseMs } = this.#options;
    const sentMs = performance.now();
    const claim = await claimIsolated(db, workerId, leaseMs, runId);
    if (claim === null) this.log("warn", "the isolated run is not there to be claimed", { runId });
    else await this.#take([claim], sentMs);
  }

  /** Starts what was claimed: warm ones go on, the others replay; their journals come in one query. */
  async #take(claims: Claimed[], sentMs: number): Promise<void> {
    const cold: Claimed[] = [];
    this.#ticker.busy();
    for (const claim of claims) {
      this.clock.observe(claim.now_at);
      this.#traffic.started(claim);
      // One that was lost, or let go with the answer still to come, and does not know it yet.
      const stale = this.#running.get(claim.run_id);
      if (stale !== PLACEHOLDER) stale?.lose();
      this.#leases.hold(claim.run_id, claim.epoch, sentMs);
      this.#slots.take(claim.run_id, claim.queue);
      const warm = this.#warm.take(claim.run_id, claim.epoch, claim.journal_seq);
      if (warm === null) cold.push(claim);
      else {
        this.#running.set(claim.run_id, warm);
        warm.continueAs(claim);
      }
      // Counted from now on, so that a slow read of the journal cannot make the worker claim too much.
      if (warm === null) this.#running.set(claim.run_id, PLACEHOLDER);
    }
    if (cold.length > 0) await this.#startCold(cold);
  }

  async #startCold(claims: readonly Claimed[]): Promise<void> {
    const { db, leaseMs } = this.#options;
    const used = claims.filter((claim) => claim.journal_seq > 1).map((claim) => claim.run_id);
    const threads = claims.flatMap((claim) => (claim.thread_no === null ? [] : [claim.thread_no]));
    try {
      const [entries, states] = await Promise.all([
        used.length === 0 ? [] : untilAnswered(() => readForReplay(db, used), leaseMs),
        threads.length === 0 ? [] : untilAnswered(() => readThreadStates(db, threads), leaseMs),
      ]);
      const byRun = new Map<string, Entry[]>();
      for (const entry of entries) {
        const list = byRun.get(entry.run_id);
        if (list === undefined) byRun.set(entry.run_id, [entry]);
        else list.push(entry);
      }
      for (const claim of claims) void this.#execute(claim, byRun.get(claim.run_id) ?? [], states);
    } catch (error) {
      // Their leases lapse, and somebody who can read takes them.
      this.log("error", "claimed runs could not be read", { error });
      for (const claim of claims) this.#letGo(claim.run_id);
    }
  }

  async #execute(
    claim: Claimed,
    entries: Entry[],
    states: readonly { thread_no: number; state: string | null; state_blob: string | null }[],
  ): Promise<void> {
    // Lost and claimed anew while its journal was read: the newer claim executes it.
    if (this.#leases.standing(claim.run_id, claim.epoch) === "gone") return;
    const program = this.programs.get(claim.agent) ?? missingProgram(claim.agent);
    let execution: Execution;
    try {
      execution = new Execution(claim, program, entries, this);
    } catch (error) {
      this.log("error", "a journal could not be read", { runId: claim.run_id, error });
      this.#letGo(claim.run_id);
      return;
    }
    this.#running.set(claim.run_id, execution);
    const state = states.find((s) => s.thread_no === claim.thread_no);
    if (state !== undefined) execution.threadState = await execution.values.load(state.state, state.state_blob);
    await execution.start();
  }

  /** The execution of a run; one whose journal is still being read asks for its lease itself before it starts anything. */
  #held(runId: string): Execution | undefined {
    const execution = this.#running.get(runId);
    return execution === PLACEHOLDER ? undefined : execution;
  }

  #letGo(runId: string): void {
    this.#running.delete(runId);
    this.#leases.release(runId);
    this.#slots.give(runId);
  }

  #forget(execution: Execution): void {
    this.#letGo(execution.runId);
    this.#claims.slotFreed();
    if (this.#running.size === 0) {
      this.#idle?.();
      this.#idle = null;
    }
  }

  #finished(runId: string): void {
    const queue = this.#held(runId)?.claim.queue;
    if (queue !== undefined) this.#traffic.finished(queue);
  }

  #flushTraffic(): Promise<void> {
    const { db, build } = this.#options;
    return this.#traffic.flush((counts) => countTraffic(db, build, counts));
  }

  #heard(runId: string, held: boolean, cancel: string | null, inboxSeq: number | null): void {
    const execution = this.#running.get(runId);
    if (execution === undefined || execution === PLACEHOLDER || execution.mode !== "running") return;
    // A run that has just been let go answers as not held: only its own writes say whether it was lost.
    if (held) execution.hear({ cancel, inboxSeq: inboxSeq ?? 0 });
  }

  /** A hint says that runs have mail or are to be cancelled. */
  async #news(runIds: readonly string[] | null): Promise<void> {
    const ours = (runIds ?? [...this.#running.keys()]).filter((runId) => this.#running.has(runId));
    if (ours.length === 0) return;
    try {
      for (const row of await readNews(this.#options.db, ours)) {
        const execution = this.#running.get(row.run_id);
        if (execution === undefined || execution === PLACEHOLDER || execution.mode !== "running") continue;
        if (row.cancel !== null) execution.stop("cancel", row.cancel);
        else execution.mailbox.noticed(row.inbox_seq);
      }
    } catch (error) {
      if (!isConnectionLost(error)) this.log("warn", "news could not be read", { error });
    }
  }

  async #drain(drainMs: number): Promise<void> {
    const { db, workerId } = this.#options;
    await setWorkerState(db, workerId, "draining").catch(() => undefined);
    this.#ticker.stop();
    await this.#claims.stop();
    this.#warm.clear();
    for (const execution of this.#running.values())
      if (execution !== PLACEHOLDER) execution.stop("drain", "drain", drainMs);
    const deadline = performance.now() + drainMs + this.settings.graceMs + 2_000;
    while (this.#running.size > 0 && performance.now() < deadline) await pause(10);
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#leases.stop();
    await this.#flushTraffic().catch(() => undefined);
    await setWorkerState(db, workerId, "stopped").catch(() => undefined);
  }
}

const CLOCK_SAMPLES = 5;
/** A nudge is never refused. */
const INBOX_UNLIMITED = 2_147_483_647;

/** Stands for a claimed run whose journal is still being read. */
const PLACEHOLDER = Object.freeze({}) as Execution;
