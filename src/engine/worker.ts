// A worker: claims runs, executes them side by side, keeps their leases, and hands them over when it must stop.
import { hostname } from "node:os";
import type { Message } from "../domain/message.ts";
import { type Claimed, type ClaimRequest, claimIsolated } from "../store/claim.ts";
import { isConnectionLost } from "../store/driver-errors.ts";
import { cancelRun, deliver } from "../store/finish.ts";
import { readInbox, readNews } from "../store/journal.ts";
import { untilAnswered } from "../store/patience.ts";
import { clearSuspicion, readClock, registerWorker, setWorkerState } from "../store/sweep.ts";
import { countTraffic } from "../store/traffic.ts";
import { type Along, ClaimLoop } from "./claim.ts";
import { ColdStart } from "./cold-start.ts";
import { Committer, type News } from "./commit.ts";
import type { HintHandler, Topic } from "./doorbell.ts";
import type { Execution, ExecutionOwner, Programs } from "./execution.ts";
import { Hands } from "./hands.ts";
import { LeaseKeeper } from "./lease.ts";
import { RetentionRounds } from "./retention.ts";
import type { ExecutionSettings, Standing } from "./roles.ts";
import { Slots } from "./slots.ts";
import { Ticker } from "./sweep.ts";
import { DatabaseClock, pause } from "./timing.ts";
import type { LiveTokens } from "./tokens.ts";
import { Traffic } from "./traffic.ts";
import { WarmRuns } from "./warm.ts";
import type { Logger, WorkerOptions } from "./worker-options.ts";

export class Worker implements ExecutionOwner {
  readonly committer: Committer;
  readonly clock = new DatabaseClock();
  readonly tokens: LiveTokens;
  readonly settings: ExecutionSettings;
  readonly programs: Programs;
  readonly log: Logger;
  readonly #options: WorkerOptions;
  readonly #hands: Hands;
  readonly #cold: ColdStart;
  readonly #leases: LeaseKeeper;
  readonly #claims: ClaimLoop;
  readonly #ticker: Ticker;
  readonly #retention: RetentionRounds | null;
  readonly #warm: WarmRuns;
  readonly #traffic = new Traffic();
  readonly #unsubscribe: (() => void)[] = [];
  #draining: Promise<void> | null = null;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.settings = options.settings;
    this.tokens = options.tokens;
    this.programs = options.programs;
    this.log = options.log;
    const { db, workerId, leaseMs } = options;
    this.committer = new Committer({ db, workerId, leaseMs, onFinished: (runId) => this.#finished(runId) });
    this.#warm = new WarmRuns(options.warmMs, options.warmMax);
    const slots = new Slots(options.slots, options.queueSlots);
    this.#leases = new LeaseKeeper({
      ...options,
      onBeat: (row) => this.#heard(row.run_id, row.held, row.cancel, row.inbox_seq),
      onDoubt: (runId) => this.#hands.get(runId)?.doubt(),
      onLapsed: (runId) => this.#hands.get(runId)?.lose(),
    });
    this.#hands = new Hands(slots, this.#leases);
    this.#cold = new ColdStart(db, leaseMs, options.programs, this.#hands, this);
    this.#claims = new ClaimLoop({
      ...options,
      freeSlots: (queue) => (this.#draining === null ? slots.free(queue) : 0),
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
    const { retention: policy, retentionEveryMs: everyMs, log } = options;
    this.#retention = policy === null ? null : new RetentionRounds({ db, policy, everyMs, log });
  }

  /** True when it tries suspicious runs in processes of their own. */
  get canIsolate(): boolean {
    return this.#options.isolate !== null;
  }

  get running(): number {
    return this.#hands.size;
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
    this.#listen("inbox", (runIds) => void this.#lookFor(runIds));
    if (onlyRun !== null) return this.#takeIsolated(onlyRun);
    this.#listen("ready", () => this.#claims.poke());
    this.#ticker.start();
    this.#retention?.start();
    this.#claims.poke();
  }

  /** Claims in a statement of somebody else's, for runs of this build and queue, when it has time for one: see ClaimLoop. */
  along<T>(build: string, queue: string, send: (request: ClaimRequest) => Promise<Along<T>>): Promise<T> | null {
    const { onlyRun, build: ours } = this.#options;
    return onlyRun === null && build === ours ? this.#claims.along(queue, send) : null;
  }

  /** Resolves when nothing runs here any more. */
  async untilIdle(): Promise<void> {
    await this.#hands.untilEmpty();
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
    if (!this.#hands.holds(execution)) {
      execution.forget();
      return;
    }
    this.#letGo(execution);
    if (this.#draining === null) this.#warm.keep(execution);
    else execution.forget();
    if (execution.wakesAtMs !== null) this.#ticker.due(execution.wakesAtMs - this.clock.now());
    // The wait may have been satisfied in the same commit (a child's end beside it): look.
    this.hint("ready", execution.runId);
  }

  onOver(execution: Execution): void {
    if (!this.#hands.holds(execution)) return;
    this.tokens.forgetRun(execution.runId);
    this.#letGo(execution);
    this.hint("finished", execution.runId);
    this.hint("ready", execution.runId);
  }

  onLeaseExtended(execution: Execution, sentMs: number): void {
    this.#leases.extended(execution.runId, sentMs);
  }

  standing(execution: Execution): Standing {
    return this.#leases.standing(execution.runId, execution.epoch);
  }

  /** A run that got on although it is tried alone is under suspicion no more: it goes back to where all others are. */
  onProgress(execution: Execution): void {
    const { onlyRun, db, workerId, leaseMs, drainMs } = this.#options;
    if (onlyRun === null) return;
    // The farewell waits for what is under way. If this fails it is tried alone once more, from where it is now.
    execution
      .during(() => untilAnswered(() => clearSuspicion(db, workerId, execution.runId), leaseMs))
      .catch((error) => this.log("warn", "a run that got on alone stays suspected", { runId: execution.runId, error }));
    execution.stop("drain", "no longer suspected", drainMs);
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

  /** Starts what was claimed: warm ones go on, the others replay. */
  async #take(claims: Claimed[], sentMs: number): Promise<void> {
    const cold: Claimed[] = [];
    this.#ticker.busy();
    for (const claim of claims) {
      this.clock.observe(claim.now_at);
      this.#traffic.started(claim);
      // One that was lost, or let go with the answer still to come, and does not know it yet.
      this.#hands.get(claim.run_id)?.lose();
      this.#hands.take(claim, sentMs);
      const warm = this.#warm.take(claim.run_id, claim.epoch, claim.journal_seq);
      if (warm === null) cold.push(claim);
      else {
        this.#hands.put(warm);
        warm.continueAs(claim);
      }
    }
    if (cold.length > 0) await this.#cold.start(cold);
  }

  #letGo(execution: Execution): void {
    this.#hands.letGo(execution.runId);
    this.#claims.slotFreed();
  }

  #finished(runId: string): void {
    const queue = this.#hands.get(runId)?.claim.queue;
    if (queue !== undefined) this.#traffic.finished(queue);
  }

  #flushTraffic(): Promise<void> {
    const { db, build } = this.#options;
    return this.#traffic.flush((counts) => countTraffic(db, build, counts));
  }

  #heard(runId: string, held: boolean, cancel: string | null, inboxSeq: number | null): void {
    // A run that has just been let go answers as not held: only its own writes say whether it was lost.
    if (held) this.#tell(runId, { cancel, inboxSeq: inboxSeq ?? 0 });
  }

  /** A hint says that runs have mail or are to be cancelled. */
  async #lookFor(runIds: readonly string[] | null): Promise<void> {
    const ours = (runIds ?? this.#hands.ids).filter((runId) => this.#hands.has(runId));
    if (ours.length === 0) return;
    try {
      for (const row of await readNews(this.#options.db, ours))
        this.#tell(row.run_id, { cancel: row.cancel, inboxSeq: row.inbox_seq });
    } catch (error) {
      if (!isConnectionLost(error)) this.log("warn", "news could not be read", { error });
    }
  }

  #tell(runId: string, news: News): void {
    const execution = this.#hands.get(runId);
    if (execution?.mode === "running") execution.hear(news);
  }

  async #drain(drainMs: number): Promise<void> {
    const { db, workerId } = this.#options;
    await setWorkerState(db, workerId, "draining").catch(() => undefined);
    this.#ticker.stop();
    this.#retention?.stop();
    await this.#claims.stop();
    this.#warm.clear();
    for (const execution of this.#hands.executions) execution.stop("drain", "drain", drainMs);
    const deadline = performance.now() + drainMs + this.settings.graceMs + 2_000;
    while (this.#hands.size > 0 && performance.now() < deadline) await pause(10);
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#leases.stop();
    await this.#flushTraffic().catch(() => undefined);
    await setWorkerState(db, workerId, "stopped").catch(() => undefined);
  }
}

const CLOCK_SAMPLES = 5;
/** A nudge is never refused. */
const INBOX_UNLIMITED = 2_147_483_647;
