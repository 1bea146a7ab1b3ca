// One claimed run in memory, from its claim to its farewell. The verbs an agent has are in step.ts, wait.ts, children.ts and
// record.ts; this file knows when the run may be let go, and why it is stopped.
import type { Recorded } from "../domain/entry.ts";
import { fail, LonghaulError } from "../domain/errors.ts";
import { toFailure } from "../domain/failure.ts";
import { encodeValue } from "../domain/value.ts";
import type { Claimed } from "../store/claim.ts";
import { isConnectionLost } from "../store/driver-errors.ts";
import { Activity } from "./activity.ts";
import type { News } from "./commit.ts";
import { asleep, cancelled, type Farewell, failed, handedOver, paused, succeeded } from "./finish.ts";
import { RunJournal } from "./journal.ts";
import { Mailbox } from "./mailbox.ts";
import { Replay } from "./replay.ts";
import type { OwnerOf, ProgramOf } from "./roles.ts";
import { generationPrefix, KEPT_STATE, Scope, Turns } from "./scope.ts";
import { nextTurn, pause } from "./timing.ts";
import { Values } from "./values.ts";
import { Waits } from "./waits.ts";

export type Program = ProgramOf<Execution>;
export type ExecutionOwner = OwnerOf<Execution>;
/** The programs of one build, by name. */
export type Programs = ReadonlyMap<string, Program>;

type Stop = "cancel" | "drain" | "timeout" | "pause" | "lost" | "broken";
type Mode = "running" | "releasing" | "released" | "over";

/** Never settles: what the code of a stopped or released run gets. It must not see an error, and its `finally` must not run. */
const NEVER = new Promise<never>(() => undefined);

export class Execution {
  readonly claim: Claimed;
  readonly program: Program;
  readonly owner: ExecutionOwner;
  readonly replay: Replay;
  readonly journal: RunJournal;
  readonly waits: Waits;
  readonly mailbox: Mailbox;
  readonly root: Scope;
  readonly abort = new AbortController();
  epoch: number;
  /** Attached children that were submitted and whose end was not yet received. */
  readonly openChildren: Map<string, string>;
  childrenCount: number;
  /** When the earliest timer of the sleeping run rings, on the database's clock. */
  wakesAtMs: number | null = null;
  /** Kept across `ctx.state.set`, so that a read needs no query. */
  threadState: unknown;
  readonly values: Values;
  readonly #activity = new Activity(() => this.idle());
  #mode: Mode = "running";
  #stop: Stop | null = null;
  #settling = false;
  /** The code has ended: nothing is left to wait for. */
  #ending = false;
  #idleCheck = false;
  #claimedAtMs = performance.now();
  #timeout: NodeJS.Timeout | undefined;
  #gate: { promise: Promise<void>; open: () => void } | null = null;
  #nudged = false;
  #doubted = false;
  /** Something was recorded since the claim. */
  #progressed = false;

  constructor(claim: Claimed, program: Program, entries: readonly Recorded[], owner: ExecutionOwner) {
    this.claim = claim;
    this.program = program;
    this.owner = owner;
    this.epoch = claim.epoch;
    const run = {
      runId: claim.run_id,
      tenant: claim.tenant_id,
      epoch: claim.epoch,
      seq: claim.journal_seq,
      entriesMax: program.limits.entries,
    };
    const turns = new Turns();
    this.journal = new RunJournal(run, owner.committer, {
      onNews: (news, sentMs) => this.#written(news, sentMs),
      onLost: () => this.lose(),
      onBroken: (error) => this.fail(error),
      onTell: () => turns.pass(),
      onCommitted: (seq) => this.#committed(seq),
    });
    this.replay = new Replay(entries, turns, owner.settings.mismatchGraceMs, (problem) => this.mismatch(problem));
    this.journal.restart(this.replay.checkpointSeq);
    this.openChildren = new Map(this.replay.openChildren);
    this.childrenCount = this.replay.childrenBefore;
    this.values = new Values(owner.committer, claim.tenant_id, (error) => this.#unreadable(error));
    this.waits = new Waits(this);
    this.mailbox = new Mailbox(
      {
        load: (after) => owner.loadInbox(this.runId, after),
        during: (work) => this.during(work),
        onMail: () => this.waits.distribute(),
        onUnreadable: (error) => owner.log("warn", "the inbox cannot be read now", { runId: this.runId, error }),
      },
      0,
    );
    this.root = new Scope("", null, generationPrefix(this.replay.generation), turns, this.abort.signal);
  }

  get runId(): string {
    return this.claim.run_id;
  }

  get mode(): Mode {
    return this.#mode;
  }

  get active(): boolean {
    return this.#mode === "running" && !this.stopping;
  }

  get stopping(): boolean {
    return this.#stop !== null || this.#mode === "over";
  }

  /** Running time used so far, in this and earlier claims. */
  get activeMs(): number {
    return performance.now() - this.#claimedAtMs;
  }

  /** Runs the agent's code to its end, or to wherever it is stopped. Never throws. */
  async start(): Promise<void> {
    this.#armTimeout();
    if (this.claim.cancel !== null) {
      this.stop("cancel", this.claim.cancel);
      return;
    }
    this.mailbox.noticed(this.claim.inbox_seq);
    await this.replay.load((hash) => this.values.load(null, hash));
    if (this.threadState === undefined) this.threadState = this.replay.value(`${this.root.prefix}${KEPT_STATE}`)?.value;
    const input = await this.values.load(this.claim.input, this.claim.input_blob);
    let output: unknown;
    try {
      output = await this.program.run(this, input);
    } catch (error) {
      if (!this.stopping) await this.#failWith(error);
      return;
    }
    if (!this.stopping) await this.#succeed(output);
  }

  /** Continues a run that was kept warm: same code, next epoch. */
  continueAs(claim: Claimed): void {
    this.epoch = claim.epoch;
    this.#claimedAtMs = performance.now();
    this.journal.continueAs(claim.epoch, claim.journal_seq);
    (this as { claim: Claimed }).claim = claim;
    this.#mode = "running";
    this.#nudged = false;
    this.#progressed = false;
    this.#armTimeout();
    if (claim.cancel !== null) {
      this.stop("cancel", claim.cancel);
      return;
    }
    this.#gate?.open();
    this.#gate = null;
    this.mailbox.noticed(claim.inbox_seq);
    this.waits.rearm();
    this.idle();
  }

  // --- for the verbs -------------------------------------------------------------------------------------------------

  /**
   * Where every verb passes before it starts something new: a stopped run or a closed branch goes no further, a released one
   * comes back first, and one whose process stood still first makes sure that nobody else has it by now.
   */
  enter(scope: Scope): Promise<void> | undefined {
    if (this.stopping || scope.closed) return NEVER;
    if (this.#mode === "running") {
      const standing = this.owner.standing(this);
      if (standing === "trusted") return undefined;
      if (standing === "doubtful") return this.during(() => this.journal.confirm()).then(() => this.enter(scope));
      this.lose();
      return NEVER;
    }
    if (this.#gate === null) {
      let open = (): void => undefined;
      const promise = new Promise<void>((resolve) => {
        open = resolve;
      });
      this.#gate = { promise, open };
    }
    if (this.#mode === "released") this.#nudge();
    return this.#gate.promise.then(() => this.enter(scope));
  }

  /** While something of the run is under way it cannot be let go. */
  during<T>(work: () => Promise<T>, label?: string): Promise<T> {
    return this.#activity.during(work, label);
  }

  /** Something the code asked for that has not ended, or null. */
  pending(): string | null {
    return this.#activity.label ?? this.root.pending ?? null;
  }

  /** What the code of a stopped run gets instead of a result. */
  never<T>(): Promise<T> {
    return NEVER;
  }

  // --- being told ----------------------------------------------------------------------------------------------------

  hear(news: News): void {
    if (news.cancel !== null) this.stop("cancel", news.cancel);
    else this.mailbox.noticed(news.inboxSeq);
  }

  /** The lease is nearly over and nothing has extended it: ask whether it is still ours, and extend it by that. */
  doubt(): void {
    if (this.#doubted || this.#mode !== "running") return;
    this.#doubted = true;
    void this.during(() => this.journal.confirm()).finally(() => {
      this.#doubted = false;
    });
  }

  /** The lease is gone: nothing more is written, the code is told through its signal and then forgotten. */
  lose(): void {
    if (this.#mode === "over") return;
    this.#stop = "lost";
    this.journal.kill();
    this.#over(fail("LEASE_LOST", { run: this.runId }));
  }

  /** Ends the run as failed from outside of its code: an entry, or something it needs, cannot be stored or read. */
  fail(error: unknown): void {
    if (this.stopping) return;
    this.owner.log("error", "the run cannot go on", { runId: this.runId, error });
    this.#stop = "broken";
    this.abort.abort(error);
    const reason = error instanceof LonghaulError ? error.code.toLowerCase() : "internal";
    void this.#finishFailed(reason, encodeValue(toFailure(error))).then(() => this.#over(null));
  }

  mismatch(problem: string): void {
    const { code, message, hint } = fail("HISTORY_MISMATCH", { run: this.runId, problem });
    this.owner.log("warn", message, { code, hint, runId: this.runId });
    this.stop("pause", `${code.toLowerCase()}: ${problem}`);
  }

  /** Stops the code at the next boundary and sends the run where the reason says. */
  stop(why: Exclude<Stop, "lost" | "broken">, reason: string, patienceMs = 0): void {
    if (this.stopping) return;
    this.#stop = why;
    this.waits.suspend();
    void this.#wind(why, reason, patienceMs);
  }

  /** Looks, a turn later, whether all that is left to do is waiting. */
  idle(): void {
    if (this.#idleCheck || this.#mode !== "running" || this.#settling || this.#ending) return;
    this.#idleCheck = true;
    void (async () => {
      // Twice: once for what has been resolved, once for what the code does with it.
      await nextTurn();
      await nextTurn();
      this.#idleCheck = false;
      if (this.#activity.busy || this.stopping || this.#settling || this.#ending || !this.replay.done) return;
      if (this.waits.canSleep()) await this.#release();
    })();
  }

  // --- endings -------------------------------------------------------------------------------------------------------

  async #succeed(output: unknown): Promise<void> {
    this.waits.recallChildren();
    const leftover = await this.#leftover();
    if (this.stopping) return;
    if (leftover !== undefined) return this.mismatch(leftover);
    let encoded: string;
    try {
      encoded = encodeValue(output);
    } catch (error) {
      return this.#failWith(error);
    }
    const replaying = this.replay.ready("(end)");
    if (replaying !== undefined) await replaying;
    await this.waits.forChildren();
    await this.enter(this.root);
    this.#ending = true;
    await this.#settle(() => succeeded(this.journal, encoded));
  }

  async #failWith(thrown: unknown): Promise<void> {
    // Code that got further before has changed, or has a new bug: mended, it can go on from here.
    const leftover = await this.#leftover();
    if (this.stopping) return;
    if (leftover !== undefined)
      return this.mismatch(`${leftover}; it threw ${JSON.stringify(toFailure(thrown).message.slice(0, 200))}`);
    await this.enter(this.root);
    this.#ending = true;
    const reason = thrown instanceof LonghaulError ? thrown.code.toLowerCase() : null;
    const failure = encodeValue(toFailure(thrown));
    await this.#finishFailed(reason, failure);
  }

  /** What was recorded and is not asked for although the code has ended. Branches that still run get time to ask. */
  async #leftover(): Promise<string | undefined> {
    const deadline = performance.now() + this.owner.settings.mismatchGraceMs;
    while (this.replay.leftover() !== undefined && !this.stopping && performance.now() < deadline) await pause(5);
    return this.replay.leftover();
  }

  async #finishFailed(reason: string | null, failure: string): Promise<void> {
    await this.#settle(() => failed(reason, failure));
  }

  async #wind(why: Stop, reason: string, patienceMs: number): Promise<void> {
    while (this.#settling) await pause(1);
    if (this.#mode !== "running") {
      // It fell asleep, or ended, in the same moment: the database decides what becomes of it.
      this.#stop = null;
      return;
    }
    if (why === "drain") await this.#activity.over(patienceMs);
    const stopped = fail(why === "timeout" ? "RUN_TIMEOUT" : "RUN_CANCELLED", {
      ...{ run: this.runId, reason, minutes: this.#minutes() },
    });
    this.abort.abort(stopped);
    await this.#activity.over(this.owner.settings.graceMs);
    if (why === "timeout") return this.#finishFailed("run_timeout", encodeValue(toFailure(stopped)));
    await this.#settle(() =>
      why === "cancel" ? cancelled(reason) : why === "pause" ? paused(reason) : handedOver(reason),
    );
  }

  async #release(): Promise<void> {
    this.#mode = "releasing";
    // From here on nothing is given to the waits: what is read meanwhile must keep the run awake like what is not yet read.
    const { seen } = this.mailbox;
    const verdict = await this.#settle(() => {
      const sleep = this.waits.describe();
      this.wakesAtMs = sleep.dueAt?.getTime() ?? null;
      return asleep(seen, sleep);
    });
    if (verdict === "inbox") {
      this.#mode = "running";
      this.#gate?.open();
      this.#gate = null;
      // Alarms may have rung unheard.
      this.waits.rearm();
      await this.mailbox.refresh();
      this.idle();
    }
  }

  /** The farewell: the last entries and the move in one fenced statement. */
  async #settle(compose: () => Farewell): Promise<string> {
    if (this.#settling) return "busy";
    this.#settling = true;
    let verdict: string;
    try {
      verdict = await this.journal.exclusive(async (first) => {
        const rest = this.journal.takeRest();
        const { entry, to } = compose();
        await this.journal.storeBlobs();
        const entries = [...rest.entries, entry];
        const consumed = [...rest.consumed, ...this.mailbox.takeNudges()];
        const run = { runId: this.runId, epoch: this.epoch, first, activeMs: this.activeMs };
        const result = await this.owner.committer.settle({ ...run, entries, to, consumed });
        // The run goes on: what was to go with the farewell goes with the next write.
        if (result === "done" && to.move === "wait") this.journal.release();
        if (result === "inbox" || result === "cancel") this.journal.putBack(rest.entries, rest.consumed);
        return { stored: result === "done" ? entries.length : 0, result };
      });
    } catch (error) {
      this.#settling = false;
      this.fail(error);
      return "broken";
    }
    this.#settling = false;
    this.#afterSettle(verdict);
    return verdict;
  }

  #afterSettle(verdict: string): void {
    if (verdict === "lost") this.lose();
    else if (verdict === "cancel") void this.#cancelAsked();
    else if (verdict === "done" && this.#mode === "releasing") this.#released();
    else if (verdict === "done") this.#over(null);
  }

  /** Somebody asked for its end while it was to be let go: it ends here, for the reason that they gave. */
  async #cancelAsked(): Promise<void> {
    const reason = await this.owner.committer.cancelReason(this.runId).catch(() => null);
    if (this.#mode === "over") return;
    this.#mode = "running";
    this.#stop = null;
    this.stop("cancel", reason ?? "cancelled");
  }

  #released(): void {
    this.#mode = "released";
    clearTimeout(this.#timeout);
    this.waits.suspend();
    this.owner.onReleased(this);
    if (this.#gate !== null || this.journal.hasMore) this.#nudge();
  }

  #nudge(): void {
    if (this.#nudged) return;
    this.#nudged = true;
    this.owner.nudge(this.runId);
  }

  /** Dropped from memory while it waits: whoever claims it next replays. */
  forget(): void {
    this.#over(null);
  }

  #over(reason: unknown): void {
    if (this.#mode === "over") return;
    this.#mode = "over";
    clearTimeout(this.#timeout);
    this.waits.suspend();
    this.replay.stop();
    this.journal.kill();
    if (reason !== null) this.abort.abort(reason);
    this.owner.onOver(this);
  }

  #unreadable(error: unknown): Promise<never> {
    if (isConnectionLost(error)) this.lose();
    else this.fail(error);
    return NEVER;
  }

  #written(news: News, sentMs: number | null): void {
    if (sentMs !== null) this.owner.onLeaseExtended(this, sentMs);
    this.hear(news);
  }

  #committed(seq: number): void {
    this.owner.hint("journal", this.runId);
    if (this.#progressed || seq <= this.claim.journal_seq) return;
    this.#progressed = true;
    this.owner.onProgress(this);
  }

  #minutes(): number {
    return Math.round((this.program.limits.activeMs ?? 0) / 600) / 100;
  }

  #armTimeout(): void {
    const limitMs = this.program.limits.activeMs;
    if (limitMs === null) return;
    clearTimeout(this.#timeout);
    const leftMs = Math.max(0, limitMs - this.claim.active_ms);
    this.#timeout = setTimeout(() => this.stop("timeout", "run_timeout"), Math.min(leftMs, 2_147_483_647));
  }
}
