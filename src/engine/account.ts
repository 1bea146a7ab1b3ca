// What one run may spend, as its worker sees it: reserves out of the run's hold, and draws on the budgets above it when that is used up.
import type { CallFacts, CallOutcome, OpenedCall } from "../domain/calls.ts";
import { exceeded, type Refusal } from "../domain/exceeded.ts";
import { Postponed } from "../domain/postponed.ts";
import { NO_SPEND, type Spend, toUsd } from "../domain/usage.ts";
import type { NewItem } from "../store/batches.ts";
import {
  type Draw,
  type Drawn,
  type NewCall,
  openRunCall,
  type RunPayer,
  returnHold,
  takeHold,
} from "../store/calls.ts";
import type { Claimed } from "../store/claim.ts";
import { untilAnswered } from "../store/patience.ts";
import { Closings } from "./closings.ts";
import type { Committer } from "./commit.ts";
import { Hold, isNone, timesSpend } from "./hold.ts";
import { newId } from "./ids.ts";
import { type DatabaseClock, pause } from "./timing.ts";

/** What an account needs of its run. */
export interface PayingRun {
  readonly runId: string;
  readonly epoch: number;
  readonly claim: Pick<Claimed, "budget_id" | "counts_usd" | "counts_steps">;
  readonly owner: { readonly committer: Committer; readonly clock: DatabaseClock };
  /** While something of the run is under way it cannot be let go. */
  during<T>(work: () => Promise<T>): Promise<T>;
  /** Whether it is still in these hands: undefined when that is known, never settles when it is not so. */
  assured(): Promise<void> | undefined;
  /** A budget whose time is over and that a person may be asked to raise; null: there is none. */
  readonly overtime: string | null;
  /** Looks up how much time there is: it may have been raised. */
  lookAtTime(): Promise<boolean>;
  lose(): void;
  never<T>(): Promise<T>;
}

/** How much of what is needed now is taken for later, where there is plenty. */
const CALLS_AHEAD = 8;
const STEPS_AHEAD = 32;
const ONE_STEP: Spend = { ...NO_SPEND, steps: 1 };

/** Pauses in place while only what others hold is in the way; after them the run waits as a row. */
const PAUSES_MS = [20, 40, 80, 160, 320, 640];
const POSTPONE_MS = 2_000;
const POSTPONE_MS_MAX = 30_000;
/** Where there is little left, a hold that nobody has touched for so long goes back to the others. */
const IDLE_MS = 2_000;

/** A `Payer` of the gateway, for a run. */
export class RunAccount {
  readonly #run: PayingRun;
  readonly #hold = new Hold();
  readonly #closings: Closings;
  /** One draw at a time: what it brings is there before the next asks. */
  #line: Promise<void> = Promise.resolve();
  /** The claim for which the hold is known; 0 for none. */
  #epoch = 0;
  #known = false;
  /** There was not much left when the database was last asked. */
  #tight = false;
  /** How often in a row it had to come back later. */
  #postponed = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(run: PayingRun) {
    this.#run = run;
    this.#closings = new Closings(run.owner.committer, run.runId);
  }

  /** False: nothing above it limits what it spends. */
  get limited(): boolean {
    return this.#run.claim.budget_id !== null;
  }

  /** What must be known before something is spent: prices, and whether a step may begin. */
  get limits(): { readonly usd: boolean; readonly steps: boolean } {
    return { usd: this.#run.claim.counts_usd, steps: this.#run.claim.counts_steps };
  }

  /**
   * Sets aside what a call may cost. In memory, mostly: where there is plenty a call that finds no cover is let through, and `open` takes
   * it; near the end the budgets are asked first.
   *
   * @throws BUDGET_EXCEEDED; Postponed while others of the tree have it set aside
   */
  async reserve(need: Spend): Promise<void> {
    if (!this.limited) return;
    this.#renew();
    if (this.#cover(need)) return;
    if (this.#tight || this.#run.overtime !== null) await this.#draw(need, null);
    else this.#hold.reserve(need, "owed");
  }

  /** What was reserved has been used as far as this. In memory only: the books are kept by `open` and what it gives. */
  settle(reserved: Spend, actual: Spend): void {
    if (!this.limited) return;
    this.#renew();
    this.#hold.settle(reserved, actual);
    this.#watchIdle();
  }

  /**
   * Writes a call down, before it goes out; takes its estimate from the budgets where it was reserved without cover.
   *
   * @throws BUDGET_EXCEEDED; Postponed while others of the tree have it set aside
   */
  open(facts: CallFacts): Promise<OpenedCall> {
    return this.#open({ callId: newId(), ...facts });
  }

  /**
   * The same for something that waits to be answered with others: it may take longer than this claim of the run, and is found again by the
   * item's id.
   */
  openItem(facts: CallFacts, item: NewItem): Promise<OpenedCall> {
    return this.#open({ callId: item.itemId, item, ...facts });
  }

  /** Closes the call of an item that was opened before, maybe in another process. */
  foundItem(itemId: string, step: string): OpenedCall {
    this.#renew();
    return this.#closings.of(itemId, step, this.#run.epoch);
  }

  async #open(call: NewCall): Promise<OpenedCall> {
    this.#renew();
    const need = call.estimate;
    if (this.limited && (!this.#known || this.#hold.isOwed(need))) await this.#draw(need, call);
    else if (call.item === undefined) await this.#openCovered(call);
    else if (this.#known) await this.#send(call, covered);
    else await this.#draw(need, call);
    this.#hold.opened(need);
    // The answer may have taken its time: nothing goes out for a run that somebody else has by now.
    const assured = this.#run.assured();
    if (assured !== undefined) await assured;
    return this.#closings.of(call.callId, call.attribution.step, this.#run.epoch);
  }

  /** A call that has its cover in memory, or needs none: it is written down together with those of other runs. */
  async #openCovered(call: NewCall): Promise<void> {
    const { runId, epoch, owner } = this.#run;
    const first = !this.#known;
    if (!(await owner.committer.openCall({ runId, epoch, call, first }))) await this.#lost();
    if (first && epoch === this.#run.epoch) this.#known = true;
  }

  /** An answer that no attempt was made for: it is written down with the step. */
  note(facts: CallFacts, outcome: CallOutcome): void {
    const call: NewCall = { callId: newId(), ...facts };
    this.#closings.note(call, outcome, call.attribution.step, this.#run.epoch);
  }

  /** Counts one step that is about to begin; undefined when that needs no asking. @throws as `reserve` */
  beginStep(): Promise<void> | undefined {
    if (!this.limits.steps) return undefined;
    this.#renew();
    return this.#cover(ONE_STEP) ? undefined : this.#draw(ONE_STEP, null);
  }

  /** The step is recorded, or it was not: then its place is free again. */
  endStep(recorded: boolean): void {
    if (!this.limits.steps || this.#epoch !== this.#run.epoch) return;
    this.#hold.settle(ONE_STEP, recorded ? ONE_STEP : NO_SPEND);
  }

  /** The closings of a step's calls, for its append; null for none. */
  takeClosings(step: string) {
    return this.#closings.take(step);
  }

  /** Sends what is left to be said of calls, and waits for it; null when there is nothing. */
  flush(): Promise<void> | null {
    return this.#closings.flush();
  }

  /** Gives back what is free, so that others of the tree can take it. */
  async giveBack(): Promise<void> {
    if (!this.limited || !this.#known || isNone(this.#hold.free)) return;
    await this.#inLine(async () => {
      const { committer } = this.#run.owner;
      this.#hold.emptied();
      const kept = await untilAnswered(() => returnHold(committer.db, this.#payer, this.#hold.keep), committer.leaseMs);
      if (!kept) await this.#lost();
    });
  }

  /** The run is over here. */
  close(): void {
    clearTimeout(this.#idle);
    this.#closings.close();
  }

  get #payer(): RunPayer {
    return { runId: this.#run.runId, epoch: this.#run.epoch, workerId: this.#run.owner.committer.workerId };
  }

  /** With every claim it begins anew: what it did not use went back when the run was let go. */
  #renew(): void {
    if (this.#epoch === this.#run.epoch) return;
    this.#epoch = this.#run.epoch;
    this.#known = false;
    this.#tight = false;
    this.#hold.forget();
  }

  /** Out of what it holds, as long as there is time: after that each asks. */
  #cover(need: Spend): boolean {
    return this.#run.overtime === null && this.#hold.cover(need);
  }

  /** Takes what this needs, and reserves it; with a call, writes that down too. */
  #draw(need: Spend, call: NewCall | null): Promise<void> {
    return this.#inLine(async () => {
      // What was brought for somebody before it in the line may do.
      if (call === null && this.#known && this.#cover(need)) return;
      await this.#untilGranted(need, call);
      if (call === null) this.#hold.reserve(need, "covered");
    });
  }

  async #untilGranted(need: Spend, call: NewCall | null): Promise<void> {
    // One that may refuse for its time: what is held is given back first, so that there is something to ask it for.
    const { overtime } = this.#run;
    let blocker: string | null = overtime;
    for (const waitMs of [...PAUSES_MS, null]) {
      const refusal = await this.#ask(need, call, blocker);
      if (refusal === null) {
        if (overtime !== null) await this.#run.lookAtTime();
        return;
      }
      if (refusal.final) throw exceeded({ ...refusal, asked: asked(need, refusal) });
      if (waitMs === null) throw this.#postpone(refusal);
      blocker = refusal.budgetId;
      await pause(waitMs * (0.5 + Math.random()));
    }
  }

  /** Null: granted. */
  async #ask(need: Spend, call: NewCall | null, blocker: string | null): Promise<Refusal | null> {
    if (blocker !== null) this.#hold.emptied();
    const drawn = await this.#send(call, (repeat) => {
      const first = repeat || !this.#known;
      const want = need.steps > 0 ? timesSpend(need, STEPS_AHEAD) : timesSpend(need, CALLS_AHEAD);
      return { need: first ? need : this.#hold.lackFor(need), want, first, blocker, keep: this.#hold.keep };
    });
    if (drawn.verdict === "refused") {
      this.#tight = true;
      return drawn.refusal;
    }
    if (drawn.room === null) this.#hold.granted(drawn.granted, need);
    else this.#hold.found(drawn.room);
    this.#known = true;
    this.#tight = drawn.tight;
    this.#postponed = 0;
    this.#watchIdle();
    return null;
  }

  /** A statement until it is answered: after a lost answer as one that does not know what it has. */
  async #send(
    call: NewCall | null,
    drawOf: (repeat: boolean) => Draw,
  ): Promise<Exclude<Drawn, { readonly verdict: "lost" }>> {
    const { db, leaseMs } = this.#run.owner.committer;
    let repeat = false;
    const drawn = await untilAnswered(() => {
      const draw = drawOf(repeat);
      repeat = true;
      return call === null ? takeHold(db, this.#payer, draw) : openRunCall(db, this.#payer, call, draw);
    }, leaseMs);
    return drawn.verdict === "lost" ? this.#lost() : drawn;
  }

  #lost(): Promise<never> {
    this.#run.lose();
    return this.#run.never();
  }

  #postpone({ budgetId, dimension }: Refusal): Postponed {
    const delayMs = Math.min(POSTPONE_MS * 2 ** this.#postponed++, POSTPONE_MS_MAX) * (0.75 + Math.random() / 2);
    const reason = `budget ${budgetId} (${dimension}: what is left is set aside for others)`;
    return new Postponed(this.#run.owner.clock.now() + Math.round(delayMs), reason);
  }

  #watchIdle(): void {
    clearTimeout(this.#idle);
    if (!this.#tight || isNone(this.#hold.free)) return;
    this.#idle = setTimeout(() => {
      // Where it cannot be told now, the run's next farewell tells it.
      if (this.#epoch === this.#run.epoch) void this.#run.during(() => this.giveBack()).catch(() => undefined);
    }, IDLE_MS);
    this.#idle.unref();
  }

  #inLine<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#line.then(work);
    this.#line = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }
}

/** All that was needed: a part of it may have been held already. */
function asked(need: Spend, { dimension, asked: lacked }: Refusal): number {
  if (dimension === "wallMinutes") return lacked;
  return dimension === "usd" ? toUsd(need.nanoUsd) : need[dimension];
}

/** What has its cover in memory takes nothing. */
function covered(): Draw {
  return { need: NO_SPEND, want: NO_SPEND, first: false, blocker: null, keep: NO_SPEND };
}
