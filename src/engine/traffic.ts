// What a worker counts of its runs between two hand-overs: how many it started and finished, and how long they had waited.
import { addWaits, noWaits, waitBucket } from "../domain/waits.ts";
import type { Claimed } from "../store/claim.ts";
import type { TrafficCount } from "../store/traffic.ts";

interface Count {
  started: number;
  finished: number;
  waits: number[];
}

export class Traffic {
  #counts = new Map<string, Count>();

  /** Both moments are the database's: no clock of ours is in it. */
  started({ queue, ready_at, now_at }: Pick<Claimed, "queue" | "ready_at" | "now_at">): void {
    const count = this.#of(queue);
    count.started += 1;
    if (ready_at === null) return;
    const bucket = waitBucket(now_at.getTime() - ready_at.getTime());
    count.waits[bucket] = (count.waits[bucket] ?? 0) + 1;
  }

  finished(queue: string): void {
    this.#of(queue).finished += 1;
  }

  /** Hands over what has been counted, if anything was; what could not be stored is counted with the next. */
  async flush(store: (counts: readonly TrafficCount[]) => Promise<void>): Promise<void> {
    if (this.#counts.size === 0) return;
    const taken = [...this.#counts].map(([queue, count]) => ({ queue, ...count }));
    this.#counts = new Map();
    try {
      await store(taken);
    } catch (error) {
      for (const count of taken) this.#putBack(count);
      throw error;
    }
  }

  #putBack({ queue, started, finished, waits }: TrafficCount): void {
    const count = this.#of(queue);
    count.started += started;
    count.finished += finished;
    count.waits = addWaits(count.waits, waits);
  }

  #of(queue: string): Count {
    const count = this.#counts.get(queue) ?? { started: 0, finished: 0, waits: noWaits() };
    this.#counts.set(queue, count);
    return count;
  }
}
