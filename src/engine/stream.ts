// Following journals: one query for all the followers of a process, woken by hints, and none while nobody follows.
import type { Entry } from "../domain/entry.ts";
import { KIND } from "../domain/entry.ts";
import type { Database } from "../store/database.ts";
import { isConnectionLost } from "../store/driver-errors.ts";
import { readFinished } from "../store/finish.ts";
import { readTailsAfter } from "../store/stream.ts";
import type { Doorbell } from "./doorbell.ts";

interface Follower {
  readonly runId: string;
  cursor: number;
  /** Set while it waits: a follower that is busy with what it has is not read for, so that it cannot pile up memory. */
  take: ((entries: Entry[]) => void) | null;
}

const POLL_MS = 100;
/** Entries read at once for one follower; at most 64 KiB of value each. */
const PAGE = 100;

export class Followers {
  readonly #db: Database;
  readonly #onError: (error: unknown) => void;
  readonly #followers = new Set<Follower>();
  /** How many follow each run. */
  readonly #followed = new Map<string, number>();
  readonly #ends = new Map<string, Set<() => void>>();
  readonly #unsubscribe: (() => void)[];
  #timer: NodeJS.Timeout | undefined;
  #reading = false;
  #again = false;
  #closed = false;

  constructor(db: Database, doorbell: Doorbell, onError: (error: unknown) => void) {
    this.#db = db;
    this.#onError = onError;
    this.#unsubscribe = [
      // A step says nothing to those who wait for the end: no query for it.
      doorbell.on("journal", () => this.#followers.size > 0 && this.#poke()),
      doorbell.on("finished", () => this.#poke()),
      doorbell.on("ready", () => this.#poke()),
    ];
  }

  /** Every entry after `after`, once and in order, ending with the run. */
  async *follow(runId: string, after: number, signal?: AbortSignal): AsyncGenerator<Entry> {
    const follower: Follower = { runId, cursor: after, take: null };
    this.#followers.add(follower);
    this.#followed.set(runId, (this.#followed.get(runId) ?? 0) + 1);
    try {
      while (signal?.aborted !== true && !this.#closed) {
        for (const entry of await this.#next(follower, signal)) {
          yield entry;
          if (entry.kind === KIND.finished) return;
        }
      }
    } finally {
      this.#followers.delete(follower);
      const left = (this.#followed.get(runId) ?? 1) - 1;
      if (left > 0) this.#followed.set(runId, left);
      else this.#followed.delete(runId);
    }
  }

  /** Resolves when the run has ended, or the signal fires. */
  ended(runId: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#ends.get(runId) ?? new Set();
      const done = (): void => {
        waiting.delete(done);
        if (waiting.size === 0) this.#ends.delete(runId);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#ends.set(runId, waiting.add(done));
      signal.addEventListener("abort", done);
      if (signal.aborted || this.#closed) done();
      this.#poke();
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const follower of this.#followers) follower.take?.([]);
    for (const waiting of [...this.#ends.values()]) for (const done of [...waiting]) done();
  }

  #next(follower: Follower, signal?: AbortSignal): Promise<Entry[]> {
    return new Promise((resolve) => {
      const take = (entries: Entry[]): void => {
        follower.take = null;
        signal?.removeEventListener("abort", stop);
        resolve(entries);
      };
      const stop = (): void => take([]);
      follower.take = take;
      signal?.addEventListener("abort", stop);
      if (signal?.aborted === true || this.#closed) stop();
      else this.#poke();
    });
  }

  #poke(): void {
    if (this.#closed || (this.#followers.size === 0 && this.#ends.size === 0)) return;
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    clearTimeout(this.#timer);
    void this.#read().finally(() => {
      this.#reading = false;
      if (this.#again) {
        this.#again = false;
        this.#poke();
      } else if (this.#followers.size > 0 || this.#ends.size > 0) this.#timer = setTimeout(() => this.#poke(), POLL_MS);
    });
  }

  async #read(): Promise<void> {
    try {
      const waiting = [...this.#followers].filter((follower) => follower.take !== null);
      if (waiting.length > 0) {
        const rows = await readTailsAfter(
          this.#db,
          waiting.map((f) => f.runId),
          waiting.map((f) => f.cursor),
          PAGE,
        );
        for (const [place, entries] of groupByPlace(rows)) {
          const follower = waiting[place - 1];
          const last = entries.at(-1);
          if (follower?.take === null || follower === undefined || last === undefined) continue;
          follower.cursor = last.seq;
          follower.take(entries);
        }
      }
      if (this.#ends.size > 0) {
        for (const runId of await readFinished(this.#db, [...this.#ends.keys()]))
          for (const done of [...(this.#ends.get(runId) ?? [])]) done();
      }
    } catch (error) {
      // A lost connection is a pause: the followers go on where they were.
      if (!isConnectionLost(error)) this.#onError(error);
    }
  }
}

function groupByPlace(rows: readonly (Entry & { place: number })[]): Map<number, Entry[]> {
  const groups = new Map<number, Entry[]>();
  for (const row of rows) {
    const group = groups.get(row.place);
    if (group === undefined) groups.set(row.place, [row]);
    else group.push(row);
  }
  return groups;
}
