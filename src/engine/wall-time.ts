// The time that a run's budgets allow it, waiting included: when it is over, and what follows from that.
import type { LonghaulError } from "../domain/errors.ts";
import { exceeded } from "../domain/exceeded.ts";
import type { Claimed } from "../store/claim.ts";
import { untilAnswered } from "../store/patience.ts";
import { readWalls, type Wall } from "../store/walls.ts";
import type { Committer } from "./commit.ts";
import { Alarm, type DatabaseClock } from "./timing.ts";

/** What it needs of its run. */
export interface TimedRun {
  readonly runId: string;
  readonly claim: Pick<Claimed, "budget_id" | "wall_at">;
  readonly owner: { readonly committer: Committer; readonly clock: DatabaseClock };
  /** While something of the run is under way it cannot be let go. */
  during<T>(work: () => Promise<T>): Promise<T>;
}

export interface WallEvents {
  /** It is over, and nobody is to be asked for more. */
  readonly onOver: () => void;
  /** It cannot be looked up. */
  readonly onUnreadable: (error: unknown) => void;
}

const MINUTE_MS = 60_000;

export class WallTime {
  readonly #run: TimedRun;
  readonly #on: WallEvents;
  #alarm: Alarm | null = null;
  /** Counts the claims and the departures: what was looked up for an earlier one is of no use. */
  #stay = 0;
  /** Null: not looked up since the claim, which told the earliest end. */
  #walls: readonly Wall[] | null = null;
  #error: LonghaulError | null = null;

  constructor(run: TimedRun, on: WallEvents) {
    this.#run = run;
    this.#on = on;
  }

  /** What says that the time is over; null: it is not. */
  get error(): LonghaulError | null {
    return this.#error;
  }

  /** When the next of its budgets ends, on the database's clock; null: never, or all that are left have ended and may be raised. */
  get nextMs(): number | null {
    if (this.#walls === null) return this.#run.claim.wall_at?.getTime() ?? null;
    const next = this.#walls.find((wall) => wall.endsAtMs > this.#nowMs || wall.onExceeded === "fail");
    return next?.endsAtMs ?? null;
  }

  /** A budget whose time is over and that a person may be asked to raise: whatever begins now asks first. Null: there is none. */
  get overtime(): string | null {
    if (this.#walls === null) return null;
    return this.#walls.find((wall) => wall.endsAtMs <= this.#nowMs && wall.onExceeded === "ask")?.budgetId ?? null;
  }

  /** The run was claimed. Undefined: there is time. Else it is looked up, and true is that there is none. */
  begin(): Promise<boolean> | undefined {
    this.leave();
    this.#walls = null;
    const { nextMs } = this;
    if (nextMs !== null && nextMs <= this.#nowMs) return this.look();
    this.#arm(nextMs);
    return undefined;
  }

  /** Looks up how much time there is by now: budgets are raised while runs run. True: the run does not go on, and that has been told. */
  look(): Promise<boolean> {
    const stay = this.#stay;
    return this.#run.during(async () => {
      try {
        const walls = await this.#read();
        return stay === this.#stay && this.#found(walls);
      } catch (error) {
        this.#on.onUnreadable(error);
        return true;
      }
    });
  }

  /** The run has left this process, or waits. */
  leave(): void {
    this.#stay += 1;
    this.#alarm?.clear();
    this.#alarm = null;
  }

  get #nowMs(): number {
    return this.#run.owner.clock.now();
  }

  #read(): Promise<Wall[]> {
    const { committer } = this.#run.owner;
    return untilAnswered(() => readWalls(committer.db, this.#run.claim.budget_id ?? ""), committer.leaseMs);
  }

  #found(walls: readonly Wall[]): boolean {
    this.#walls = walls;
    const nowMs = this.#nowMs;
    const over = walls.find((wall) => wall.endsAtMs <= nowMs && wall.onExceeded === "fail");
    if (over === undefined) this.#arm(this.nextMs);
    else {
      this.#error = outOfTime(over, nowMs);
      this.#on.onOver();
    }
    return over !== undefined;
  }

  #arm(atMs: number | null): void {
    this.#alarm?.clear();
    this.#alarm = atMs === null ? null : new Alarm(this.#run.owner.clock, atMs, 0, () => void this.look());
  }
}

function outOfTime({ budgetId, wallMs, endsAtMs }: Wall, nowMs: number): LonghaulError {
  const spentMs = wallMs + nowMs - endsAtMs;
  return exceeded({
    budgetId,
    dimension: "wallMinutes",
    limit: minutes(wallMs),
    spent: minutes(spentMs),
    held: 0,
    asked: 0,
    onExceeded: "fail",
    final: true,
  });
}

function minutes(ms: number): number {
  return Math.round((ms / MINUTE_MS) * 1_000) / 1_000;
}
