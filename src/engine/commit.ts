// The worker's way to the journal: batches the writes of all its runs, and finds out what became of a write whose answer was lost.

import { APPEND_BYTES_MAX } from "../domain/limits.ts";
import { Batcher } from "../store/batch.ts";
import { type Account, type Closing, closeCalls, type Opening, openRunCalls } from "../store/calls.ts";
import type { Database } from "../store/database.ts";
import { isConnectionLost, isRetryable } from "../store/driver-errors.ts";
import { readFinished, type Settle, type SettleVerdict, settleRuns } from "../store/finish.ts";
import { type Append, appendEntries, appendWith, type Extras, readTails } from "../store/journal.ts";
import { untilAnswered } from "../store/patience.ts";

/** What a write tells about the run: still ours, whether it is to be cancelled, how far its inbox reaches. */
export interface News {
  readonly cancel: string | null;
  readonly inboxSeq: number;
}

export type AppendVerdict =
  | ({
      readonly verdict: "done" | "moved";
      /** When the statement was sent that extended the lease; null when only its effect was found. */
      readonly sentMs: number | null;
    } & News)
  | { readonly verdict: "lost" };

export interface CommitterOptions {
  readonly db: Database;
  readonly workerId: string;
  readonly leaseMs: number;
  /** A run has ended by a write of ours. */
  readonly onFinished?: (runId: string) => void;
}

const BATCH = { inFlightMax: 2, itemsMax: 500, bytesMax: APPEND_BYTES_MAX, isShared: isConnectionLost } as const;

export class Committer {
  readonly db: Database;
  readonly workerId: string;
  readonly leaseMs: number;
  readonly #onFinished: CommitterOptions["onFinished"];
  readonly #appends: Batcher<Append, AppendVerdict>;
  readonly #settles: Batcher<Settle, SettleVerdict | "lost">;
  readonly #openings: Batcher<Opening, boolean>;
  readonly #closings: Batcher<Closing & Account, void>;

  constructor({ db, workerId, leaseMs, onFinished }: CommitterOptions) {
    this.db = db;
    this.workerId = workerId;
    this.leaseMs = leaseMs;
    this.#onFinished = onFinished;
    this.#appends = new Batcher({ ...BATCH, bytesOf, send: (items) => this.#sendAppends(items) });
    this.#settles = new Batcher<Settle, SettleVerdict | "lost">({
      ...BATCH,
      bytesOf: (settle) => bytesOf(settle) + ("apart" in settle.to ? (settle.to.apart?.body.length ?? 0) : 0),
      send: (items) => this.#sendSettles(items),
    });
    this.#openings = new Batcher<Opening, boolean>({
      ...BATCH,
      send: (items) => untilAnswered(() => openRunCalls(db, workerId, items), leaseMs),
    });
    this.#closings = new Batcher<Closing & Account, void>({
      ...BATCH,
      send: async (items) => {
        await untilAnswered(() => closeCalls(db, items), leaseMs);
        return items.map(() => undefined);
      },
    });
  }

  append(append: Append): Promise<AppendVerdict> {
    return this.#appends.add(append);
  }

  async settle(settle: Settle): Promise<SettleVerdict | "lost"> {
    const verdict = await this.#settles.add(settle);
    if (verdict === "done" && settle.to.move === "finish") this.#onFinished?.(settle.runId);
    return verdict;
  }

  /** Writes down a model call that needs nothing more from a budget, before it goes out. False: the run is somebody else's. */
  openCall(opening: Opening): Promise<boolean> {
    return this.#openings.add(opening);
  }

  /** What became of a model call, apart from the step that made it. */
  closeCall(closing: Closing & Account): Promise<void> {
    return this.#closings.add(closing);
  }

  /** One run's append that changes more than the journal. */
  async appendWith(append: Append, extras: Extras): Promise<AppendVerdict> {
    const sentMs = performance.now();
    try {
      const row = await appendWith(this.db, this.workerId, this.leaseMs, append, extras);
      if (row.verdict === "lost") return (await this.#outcomes([append])).get(append.runId) ?? { verdict: "lost" };
      return { verdict: row.verdict, sentMs, cancel: row.cancel, inboxSeq: row.inbox_seq };
    } catch (error) {
      if (isRetryable(error)) return this.appendWith(append, extras);
      if (!isConnectionLost(error)) throw error;
      const found = (await this.#outcomes([append])).get(append.runId);
      return found ?? this.appendWith(append, extras);
    }
  }

  /** Whether an append of unknown outcome is stored: 'done', 'lost', or null when it is not and the run is still ours. */
  async outcomeOf(append: Append): Promise<AppendVerdict | null> {
    return (await this.#outcomes([append])).get(append.runId) ?? null;
  }

  /** Why the run is to be cancelled, or null. */
  async cancelReason(runId: string): Promise<string | null> {
    const [tail] = await untilAnswered(() => readTails(this.db, [runId]), this.leaseMs);
    return tail?.cancel ?? null;
  }

  async #sendAppends(appends: readonly Append[]): Promise<AppendVerdict[]> {
    let open = appends;
    const verdicts = new Map<string, AppendVerdict>();
    while (open.length > 0) {
      const sentMs = performance.now();
      try {
        const rows = await appendEntries(this.db, this.workerId, this.leaseMs, open);
        for (const row of rows)
          verdicts.set(row.run_id, { verdict: "done", sentMs, cancel: row.cancel, inboxSeq: row.inbox_seq });
        break;
      } catch (error) {
        if (isRetryable(error)) continue;
        if (!isConnectionLost(error)) throw error;
        for (const [runId, verdict] of await this.#outcomes(open)) verdicts.set(runId, verdict);
        open = open.filter((append) => !verdicts.has(append.runId));
      }
    }
    return appends.map((append) => verdicts.get(append.runId) ?? { verdict: "lost" });
  }

  /** Reads back what became of appends: those whose fate is known. The others are not stored and still ours to write. */
  async #outcomes(appends: readonly Append[]): Promise<Map<string, AppendVerdict>> {
    const tails = await untilAnswered(
      () =>
        readTails(
          this.db,
          appends.map((a) => a.runId),
        ),
      this.leaseMs,
    );
    const byRun = new Map(tails.map((tail) => [tail.run_id, tail]));
    const known = new Map<string, AppendVerdict>();
    for (const append of appends) {
      const tail = byRun.get(append.runId);
      const ours = tail !== undefined && tail.epoch === append.epoch && tail.worker_id === this.workerId;
      if (!ours) known.set(append.runId, { verdict: "lost" });
      else if (tail.journal_seq === append.first + append.entries.length - 1 && append.entries.length > 0) {
        known.set(append.runId, { verdict: "done", sentMs: null, cancel: tail.cancel, inboxSeq: tail.inbox_seq });
      } else if (tail.journal_seq !== append.first - 1) known.set(append.runId, { verdict: "lost" });
    }
    return known;
  }

  async #sendSettles(settles: readonly Settle[]): Promise<(SettleVerdict | "lost")[]> {
    let open = settles;
    const verdicts = new Map<string, SettleVerdict | "lost">();
    while (open.length > 0) {
      try {
        for (const row of await settleRuns(this.db, this.workerId, open)) verdicts.set(row.run_id, row.verdict);
        break;
      } catch (error) {
        if (isRetryable(error)) continue;
        if (!isConnectionLost(error)) throw error;
        for (const [runId, verdict] of await this.#farewells(open)) verdicts.set(runId, verdict);
        open = open.filter((settle) => !verdicts.has(settle.runId));
      }
    }
    return settles.map((settle) => verdicts.get(settle.runId) ?? "lost");
  }

  /** Reads back what became of settles. A run that is still ours at its old tail was not settled. */
  async #farewells(settles: readonly Settle[]): Promise<Map<string, SettleVerdict | "lost">> {
    const ids = settles.map((s) => s.runId);
    const tails = await untilAnswered(() => readTails(this.db, ids), this.leaseMs);
    const ended = new Set(await untilAnswered(() => readFinished(this.db, ids), this.leaseMs));
    const byRun = new Map(tails.map((tail) => [tail.run_id, tail]));
    const known = new Map<string, SettleVerdict | "lost">();
    for (const settle of settles) {
      const tail = byRun.get(settle.runId);
      const stillOurs =
        tail?.worker_id === this.workerId && tail.epoch === settle.epoch && tail.journal_seq === settle.first - 1;
      if (stillOurs) continue;
      const moved = tail !== undefined && tail.worker_id === null && tail.epoch === settle.epoch;
      known.set(settle.runId, moved || (ended.has(settle.runId) && settle.to.move === "finish") ? "done" : "lost");
    }
    return known;
  }
}

/** A closing, as JSON. */
const CLOSING_BYTES = 512;

function bytesOf(append: Append): number {
  let bytes = 64 + (append.spend?.length ?? 0) * CLOSING_BYTES;
  for (const entry of append.entries) bytes += 64 + (entry.body?.length ?? 0) + (entry.apart?.body.length ?? 0);
  return bytes;
}
