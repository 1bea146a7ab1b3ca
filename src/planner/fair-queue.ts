// The queue as the claim keeps it (sql/migrations/0004_claim.sql): a turn per tenant, the least served first, within the tenants' caps.
import { Heap } from "./heap.ts";

export interface TenantSpec {
  /** Part of the arrivals that are this tenant's, relative to the others. Default 1. */
  readonly share?: number;
  /** How much more than a tenant of weight 1 it gets when all want more than there is. Default 1. */
  readonly weight?: number;
  /** Runs of it in flight at most. Default: no cap. */
  readonly cap?: number;
}

/** What the queue needs to know of a run. Runs of one tenant leave in the order of their numbers, also when they come back. */
export interface Queued {
  readonly tenant: number;
  readonly number: number;
}

interface Turn<Run> {
  readonly ready: Heap<Run>;
  readonly weight: number;
  readonly cap: number;
  inFlight: number;
  vtime: number;
  /** Has ready runs and is not parked by its cap: then it has an entry with its vtime among the candidates. */
  runnable: boolean;
}

/** One turn during one claim. */
interface Visit<Run> {
  readonly turn: Turn<Run>;
  readonly most: number;
  taken: number;
}

const STRIDE = 1_000_000;
/** Turns that one claim looks at, at least, and runs it takes per turn from there on. */
const TURNS_MIN = 8;
const QUANTUM = 5;

export class FairQueue<Run extends Queued> {
  readonly #turns: readonly Turn<Run>[];
  /** Runnable turns by virtual time. Entries whose turn has moved on since are dropped when they come up. */
  readonly #candidates = new Heap<Turn<Run>>();
  #runnable = 0;
  #depth = 0;

  constructor(tenants: readonly TenantSpec[]) {
    this.#turns = tenants.map(({ weight = 1, cap = Number.POSITIVE_INFINITY }) => {
      return { ready: new Heap<Run>(), weight, cap, inFlight: 0, vtime: 0, runnable: false };
    });
  }

  /** Runs that are ready and not claimed. */
  get depth(): number {
    return this.#depth;
  }

  /** Whether a claim may find something: it takes a run, or parks a turn that is at its cap. */
  get claimable(): boolean {
    return this.#runnable > 0;
  }

  inFlightOf(tenant: number): number {
    return this.#turn(tenant).inFlight;
  }

  push(run: Run): void {
    const turn = this.#turn(run.tenant);
    const wakesUp = turn.ready.size === 0;
    turn.ready.push(run.number, run);
    this.#depth += 1;
    // No credit for idling, no penalty. A turn that has runs and is not runnable is parked: only a freed slot un-parks it.
    if (wakesUp) this.#offer(turn, Math.max(turn.vtime, this.#present()));
  }

  /** Claims at most `count` runs; fewer than there are where no turn may give more at once. */
  take(count: number): Run[] {
    const visits = this.#visit(count);
    const taken: Run[] = [];
    while (taken.length < count) {
      const next = leastServed(visits);
      if (next === undefined) break;
      taken.push(next.turn.ready.pop() as Run);
      next.taken += 1;
    }
    this.#depth -= taken.length;
    // One that had nothing to give when its chance came pays for the look.
    for (const { turn, taken: n } of visits) this.#settle(turn, n === 0 && taken.length < count ? 1 : n, n);
    return taken;
  }

  /** A run of this tenant no longer holds a slot. */
  release(tenant: number): void {
    const turn = this.#turn(tenant);
    const wasFull = turn.inFlight >= turn.cap;
    turn.inFlight -= 1;
    if (wasFull && turn.ready.size > 0) this.#offer(turn, Math.max(turn.vtime, this.#present()));
  }

  /** Takes the least served turns out of the candidates. Each may give twice its part: what others leave, those behind may take. */
  #visit(count: number): Visit<Run>[] {
    const turns: Turn<Run>[] = [];
    const width = Math.max(TURNS_MIN, Math.ceil(count / QUANTUM));
    for (let turn = this.#nextTurn(); turn !== undefined; turn = turns.length < width ? this.#nextTurn() : undefined)
      turns.push(turn);
    const weights = turns.reduce((sum, { weight }) => sum + weight, 0);
    return turns.map((turn) => {
      const share = Math.ceil((2 * count * turn.weight) / weights);
      const most = Math.max(0, Math.min(share, count, turn.cap - turn.inFlight, turn.ready.size));
      return { turn, most, taken: 0 };
    });
  }

  #settle(turn: Turn<Run>, charged: number, taken: number): void {
    turn.inFlight += taken;
    turn.vtime += charged * (STRIDE / turn.weight);
    if (turn.ready.size > 0 && turn.inFlight < turn.cap) this.#offer(turn, turn.vtime);
  }

  /** Takes the least served runnable turn out of the candidates. */
  #nextTurn(): Turn<Run> | undefined {
    this.#dropStale();
    const turn = this.#candidates.pop();
    if (turn === undefined) return undefined;
    turn.runnable = false;
    this.#runnable -= 1;
    return turn;
  }

  #offer(turn: Turn<Run>, vtime: number): void {
    if (turn.runnable && turn.vtime === vtime) return;
    if (!turn.runnable) this.#runnable += 1;
    turn.runnable = true;
    turn.vtime = vtime;
    this.#candidates.push(vtime, turn);
  }

  /** The present of the fair-share clock. */
  #present(): number {
    this.#dropStale();
    return this.#candidates.size === 0 ? 0 : this.#candidates.leastKey;
  }

  #dropStale(): void {
    const candidates = this.#candidates;
    for (let turn = candidates.least; turn !== undefined; turn = candidates.least) {
      if (turn.runnable && turn.vtime === candidates.leastKey) return;
      candidates.pop();
    }
  }

  #turn(tenant: number): Turn<Run> {
    return this.#turns[tenant] as Turn<Run>;
  }
}

/** The visited turn whose next run would end first on the fair-share clock (start-time fair queueing), of those that may give one. */
function leastServed<Run>(visits: readonly Visit<Run>[]): Visit<Run> | undefined {
  let best: Visit<Run> | undefined;
  let bestEnd = Number.POSITIVE_INFINITY;
  for (const visit of visits) {
    if (visit.taken >= visit.most) continue;
    const end = visit.turn.vtime + (visit.taken + 1) * (STRIDE / visit.turn.weight);
    if (end < bestEnd) [best, bestEnd] = [visit, end];
  }
  return best;
}
