// Dropping runs by hand: those that ended before some moment, of all tenants or of one, or everything that a tenant has.
import { fail } from "../domain/errors.ts";
import { RETENTION_BATCH } from "../domain/limits.ts";
import { pause } from "../engine/timing.ts";
import type { Database } from "../store/database.ts";
import { isRetryable } from "../store/driver-errors.ts";
import {
  type Cursor,
  clearLeftovers,
  momentAgo,
  purgeRows,
  START,
  unfinishedRuns,
  type Walk,
  type Walked,
  walk,
} from "../store/retention.ts";

export interface Pruned {
  readonly trees: number;
  readonly runs: number;
  /** Entries of their journals. */
  readonly entries: number;
}

export interface PruneOptions {
  /** Null: of all tenants. */
  readonly tenant: string | null;
  /** Since when they must have ended, in milliseconds; null keeps them for ever. */
  readonly finishedMs: number | null;
  readonly failedMs: number | null;
  /** Count only. */
  readonly dry: boolean;
}

const LEFTOVER_ENTRIES = 5_000;
const LEFTOVER_BLOBS = 50;
const ROWS = 500;
/** Somebody else prunes: until he is done with his transaction. */
const BUSY_MS = 50;

/** Tells after every transaction how much is gone so far. Between two of them it rests as long as the first one took. */
export async function* prune(db: Database, options: PruneOptions): AsyncGenerator<Pruned> {
  const { tenant, dry } = options;
  const [until, failedUntil] = [
    options.finishedMs === null ? null : await momentAgo(db, options.finishedMs),
    options.failedMs === null ? null : await momentAgo(db, options.failedMs),
  ];
  let sum: Pruned = { trees: 0, runs: 0, entries: 0 };
  for (const failed of tenant === null ? [false, true] : [false]) {
    for await (const step of steps(db, { tenant, until, failedUntil, failed, dry })) {
      sum = { trees: sum.trees + step.trees, runs: sum.runs + step.runs, entries: sum.entries + step.entries };
      yield sum;
    }
  }
  if (!dry) for await (const _ of clearing(db)) yield sum;
}

/**
 * Everything that a tenant has: runs of any age, threads, values, keys, its place in the queues. Clients that submit meanwhile make
 * it begin anew.
 *
 * @throws TENANT_BUSY when it has unfinished runs
 */
export async function* purgeTenant(db: Database, tenant: string): AsyncGenerator<Pruned> {
  let sum: Pruned = { trees: 0, runs: 0, entries: 0 };
  for (;;) {
    const [unfinished] = await unfinishedRuns(db, tenant, 1);
    if (unfinished !== undefined) throw fail("TENANT_BUSY", { tenant, run: unfinished });
    const all: Walk = { tenant, until: "infinity", failedUntil: "infinity", failed: false, dry: false };
    for await (const step of steps(db, all)) {
      sum = { trees: sum.trees + step.trees, runs: sum.runs + step.runs, entries: sum.entries + step.entries };
      yield sum;
    }
    for await (const _ of clearing(db)) yield sum;
    if (await purged(db, tenant)) return;
  }
}

async function* steps(db: Database, what: Walk): AsyncGenerator<Walked> {
  let cursor: Cursor = START;
  for (;;) {
    const startedMs = performance.now();
    const walked = await patiently(() => walk(db, what, cursor, RETENTION_BATCH));
    if (walked.looked === 0) return;
    cursor = walked.cursor;
    yield walked;
    if (walked.runs > 0 && !what.dry) await pause(performance.now() - startedMs);
  }
}

async function* clearing(db: Database): AsyncGenerator<void> {
  while ((await patiently(() => clearLeftovers(db, LEFTOVER_ENTRIES, LEFTOVER_BLOBS))) > 0) yield;
}

/** False when runs have come in meanwhile. */
async function purged(db: Database, tenant: string): Promise<boolean> {
  for (;;) {
    const gone = await retrying(() => purgeRows(db, tenant, ROWS));
    if (gone === null) return false;
    if (gone === 0) return true;
  }
}

/** Again until nobody else prunes. */
async function patiently<T>(ask: () => Promise<T | null>): Promise<T> {
  for (;;) {
    const answer = await retrying(ask);
    if (answer !== null) return answer;
    await pause(BUSY_MS);
  }
}

const ATTEMPTS = 20;

async function retrying<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isRetryable(error) || attempt >= ATTEMPTS) throw error;
      await pause(BUSY_MS * Math.random());
    }
  }
}
