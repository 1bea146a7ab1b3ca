// A run's stay in memory: whether it runs, is let go or is over, why it is stopped, and where it goes then.
import { fail } from "../domain/errors.ts";
import { toFailure } from "../domain/failure.ts";
import { encodeValue } from "../domain/value.ts";
import type { ActiveTime } from "./active-time.ts";
import type { Activity } from "./activity.ts";
import { asleep, cancelled, type Farewell, failed, handedOver, paused } from "./finish.ts";
import { Gate } from "./gate.ts";
import { reasonOf } from "./outcome.ts";
import type { Replay } from "./replay.ts";
import type { ExecutionSettings } from "./roles.ts";
import { type SettledAs, Settling, type SettlingRun } from "./settle.ts";
import { nextTurn } from "./timing.ts";
import type { Waits } from "./waits.ts";
import type { WallTime } from "./wall-time.ts";

/** Why somebody may stop a run. */
export type StopReason = "cancel" | "drain" | "timeout" | "budget" | "pause";
export type Mode = "running" | "releasing" | "released" | "over";

/** What a stay needs of its run. */
export interface StayingRun extends SettlingRun {
  readonly abort: AbortController;
  readonly activity: Activity;
  readonly activeTime: ActiveTime;
  readonly replay: Replay;
  readonly waits: Waits;
  readonly owner: SettlingRun["owner"] & {
    readonly settings: ExecutionSettings;
    readonly log: (level: "error", message: string, fields: Record<string, unknown>) => void;
    nudge(runId: string): void;
  };
  readonly wallTime: WallTime;
  /** What the code had so far, encoded; null when it never said. */
  partial(): Promise<string | null>;
  /** It waits; its live function may be kept warm. */
  onReleased(): void;
  /** It is nobody's business here any more. */
  onOver(): void;
}

export class Stay {
  readonly #run: StayingRun;
  readonly #gate = new Gate();
  readonly #settling: Settling;
  #mode: Mode = "running";
  #stop: StopReason | "lost" | "broken" | null = null;
  /** When the earliest timer of the sleeping run rings, on the database's clock. */
  #wakesAtMs: number | null = null;
  /** The code has ended: nothing is left to wait for. */
  #ending = false;
  #idleCheck = false;
  #nudged = false;

  constructor(run: StayingRun) {
    this.#run = run;
    this.#settling = new Settling(run, {
      onSettled: (as) => this.#settled(as),
      onBroken: (error) => this.fail(error),
    });
  }

  get mode(): Mode {
    return this.#mode;
  }

  get wakesAtMs(): number | null {
    return this.#wakesAtMs;
  }

  get stopping(): boolean {
    return this.#stop !== null || this.#mode === "over";
  }

  /** It was kept warm, and is claimed again. */
  resume(): void {
    this.#mode = "running";
    this.#nudged = false;
  }

  /** What waited for its return goes on. */
  open(): void {
    this.#gate.open();
  }

  /** Resolves when the run, which is being let go or asleep, is back: asking calls it back. */
  back(): Promise<void> {
    const opened = this.#gate.wait();
    if (this.#mode === "released") this.#nudge();
    return opened;
  }

  // --- being stopped -------------------------------------------------------------------------------------------------

  /** Stops the code at the next boundary and sends the run where the reason says. */
  stop(why: StopReason, reason: string, patienceMs = 0): void {
    if (this.stopping) return;
    this.#stop = why;
    this.#run.waits.suspend();
    void this.#wind(why, reason, patienceMs);
  }

  /** The lease is gone: nothing more is written, the code is told through its signal and then forgotten. */
  lose(): void {
    if (this.#mode === "over") return;
    this.#stop = "lost";
    this.#run.journal.kill();
    this.#over(fail("LEASE_LOST", { run: this.#run.runId }));
  }

  /** Ends the run as failed from outside of its code: an entry, or something it needs, cannot be stored or read. */
  fail(error: unknown): void {
    if (this.stopping) return;
    const { owner, abort, runId } = this.#run;
    owner.log("error", "the run cannot go on", { runId, error });
    this.#stop = "broken";
    abort.abort(error);
    const failure = encodeValue(toFailure(error));
    const { journal } = this.#run;
    void this.#run
      .partial()
      .catch(() => null)
      .then((partial) => this.#settling.send(() => failed(journal, reasonOf(error) ?? "internal", failure, partial)))
      .then(() => this.#over(null));
  }

  /** Dropped from memory while it waits: whoever claims it next replays. */
  forget(): void {
    this.#over(null);
  }

  async #wind(why: StopReason, reason: string, patienceMs: number): Promise<void> {
    if (this.#settling.busy) await this.#settling.over();
    if (this.#mode !== "running") {
      // It fell asleep, or ended, in the same moment: the database decides what becomes of it.
      this.#stop = null;
      return;
    }
    const { activity, activeTime, abort, owner, runId } = this.#run;
    if (why === "drain") await activity.over(patienceMs);
    const facts = { run: runId, reason, minutes: activeTime.limitMinutes };
    const stopped =
      (why === "budget" ? this.#run.wallTime.error : null) ??
      fail(why === "timeout" ? "RUN_TIMEOUT" : "RUN_CANCELLED", facts);
    abort.abort(stopped);
    await activity.over(owner.settings.graceMs);
    const fails = why === "timeout" || why === "budget";
    const partial = fails ? await this.#run.partial() : null;
    await this.#settling.send(() => {
      if (fails) return failed(this.#run.journal, reason, encodeValue(toFailure(stopped)), partial);
      return why === "cancel" ? cancelled(reason) : why === "pause" ? paused(reason) : handedOver(reason);
    });
  }

  // --- falling asleep ------------------------------------------------------------------------------------------------

  /** Looks, a turn later, whether all that is left to do is waiting. */
  idle(): void {
    if (this.#idleCheck || this.#mode !== "running" || this.#settling.busy || this.#ending) return;
    this.#idleCheck = true;
    void this.#look();
  }

  async #look(): Promise<void> {
    // Twice: once for what has been resolved, once for what the code does with it.
    await nextTurn();
    await nextTurn();
    this.#idleCheck = false;
    const { activity, replay, waits } = this.#run;
    if (activity.busy || this.stopping || this.#settling.busy || this.#ending || !replay.done) return;
    if (waits.canSleep()) await this.#release();
  }

  async #release(): Promise<void> {
    const { mailbox, waits } = this.#run;
    this.#mode = "releasing";
    // From here on nothing is given to the waits: what is read meanwhile must keep the run awake like what is not yet read.
    const { seen } = mailbox;
    const as = await this.#settling.send(() => {
      const sleep = waits.describe();
      const dueMs = soonest(sleep.dueAt?.getTime() ?? null, this.#run.wallTime.nextMs);
      this.#wakesAtMs = dueMs;
      return asleep(seen, { ...sleep, dueAt: dueMs === null ? null : new Date(dueMs) });
    });
    if (as !== "inbox") return;
    this.#mode = "running";
    this.#gate.open();
    // Alarms may have rung unheard.
    waits.rearm();
    await mailbox.refresh();
    this.idle();
  }

  // --- having left ---------------------------------------------------------------------------------------------------

  /** The code has ended, and nothing is left to wait for. */
  async end(compose: () => Farewell): Promise<void> {
    this.#ending = true;
    await this.#settling.send(compose);
  }

  #settled(as: SettledAs): void {
    if (as === "lost") this.lose();
    else if (as === "cancel") void this.#cancelAsked();
    else if (as === "done" && this.#mode === "releasing") this.#released();
    else if (as === "done") this.#over(null);
  }

  /** Somebody asked for its end while it was to be let go: it ends here, for the reason that they gave. */
  async #cancelAsked(): Promise<void> {
    const { owner, runId } = this.#run;
    const reason = await owner.committer.cancelReason(runId).catch(() => null);
    if (this.#mode === "over") return;
    this.#mode = "running";
    this.#stop = null;
    this.stop("cancel", reason ?? "cancelled");
  }

  #released(): void {
    const { activeTime, waits, journal } = this.#run;
    this.#mode = "released";
    activeTime.disarm();
    waits.suspend();
    this.#run.onReleased();
    if (this.#gate.isWaitedAt || journal.hasMore) this.#nudge();
  }

  #nudge(): void {
    if (this.#nudged) return;
    this.#nudged = true;
    this.#run.owner.nudge(this.#run.runId);
  }

  #over(reason: unknown): void {
    if (this.#mode === "over") return;
    const { activeTime, waits, replay, journal, abort } = this.#run;
    this.#mode = "over";
    activeTime.disarm();
    waits.suspend();
    replay.stop();
    journal.kill();
    if (reason !== null) abort.abort(reason);
    this.#run.onOver();
  }
}

function soonest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}
