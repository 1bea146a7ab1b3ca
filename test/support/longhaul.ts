// A stage for tests of the engine: one guarded database per file, and per test a build of its own with as many workers as it likes.
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import type { Run, RunStatus } from "../../src/domain/run.ts";
import {
  type AnyAgent,
  type ConnectOptions,
  connect,
  type LonghaulError,
  type WorkerSettings,
} from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import type { Database } from "../../src/store/database.ts";
import { checkInvariants } from "../../src/store/invariants.ts";
import { installGuards } from "./guards.ts";
import { type FreshDatabase, freshDatabase } from "./postgres.ts";

/** Times in which a test can wait for what a worker does by itself. */
const QUICK: WorkerSettings = { slots: 20, tickMs: 50, drainMs: 100, graceMs: 150 };

export interface Stage {
  readonly db: Database;
  readonly url: string;
  /** The build of this test: workers of other tests do not touch its runs. */
  readonly build: string;
  /** A process with a worker. All are closed after the test. */
  worker(agents: readonly AnyAgent[], settings?: WorkerSettings, options?: ConnectOptions): Promise<LonghaulProcess>;
  /** A process without one. */
  client(agents?: readonly AnyAgent[], options?: ConnectOptions): Promise<LonghaulProcess>;
  /** Takes a run from its worker as if the worker had died: that one does not know yet, and anybody may claim the run. */
  takeOver(runId: string): Promise<void>;
}

/** Registers the hooks of the file. */
export function useStage(): Stage {
  let fresh: FreshDatabase;
  let count = 0;
  const open: LonghaulProcess[] = [];
  const start = async (options: ConnectOptions): Promise<LonghaulProcess> => {
    const longhaul = await connect({
      url: fresh.url,
      build: `test-${count}`,
      migrate: false,
      connections: 5,
      log: silent,
      ...options,
    });
    open.push(longhaul);
    return longhaul;
  };
  beforeAll(async () => {
    fresh = await freshDatabase();
    await installGuards(fresh.db);
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((longhaul) => longhaul.close()));
    count += 1;
    const broken = await checkInvariants(fresh.db);
    expect(broken.map(({ rows, sentence, ...rest }) => ({ ...rest, first: rows[0] }))).toEqual([]);
  });
  afterAll(() => fresh.drop());
  return {
    get db() {
      return fresh.db;
    },
    get url() {
      return fresh.url;
    },
    get build() {
      return `test-${count}`;
    },
    worker: (agents, settings = {}, options = {}) => start({ agents, worker: { ...QUICK, ...settings }, ...options }),
    client: (agents = [], options = {}) => start({ agents, worker: false, ...options }),
    takeOver: (runId) => takeOver(fresh.db, runId),
  };
}

async function takeOver(db: Database, runId: string): Promise<void> {
  await db.transaction(async (tx) => {
    const [row] = await tx.query<{ state: string }>("select state from longhaul.live where run_id = $1 for update", [
      runId,
    ]);
    if (row?.state !== "running") return;
    // The lease lapses and is swept in one transaction, so that a heartbeat cannot come between.
    await tx.query(
      "update longhaul.live set expires_at = clock_timestamp() - interval '1 ms', crashes = 0 where run_id = $1",
      [runId],
    );
    await tx.query("select * from longhaul.sweep(1000, 100, false)");
  });
}

function silent(): void {}

/** Waits for a condition by asking again and again; gives what it answered. */
export async function until<T>(
  ask: () => T | Promise<T>,
  patienceMs = 20_000,
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== undefined && answer !== false) return answer as NonNullable<Exclude<T, false>>;
    if (performance.now() > deadline) throw new Error(`the condition did not come true: ${ask}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function untilStatus(longhaul: LonghaulProcess, runId: string, status: RunStatus): Promise<Run> {
  return until(async () => {
    const run = await longhaul.get(runId);
    return run?.status === status && run;
  });
}

/** A door that stays closed until it is opened. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

export function gate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** The error with which a promise rejects. */
export async function rejection(promise: Promise<unknown>): Promise<LonghaulError> {
  try {
    await promise;
  } catch (error) {
    return error as LonghaulError;
  }
  return expect.fail("expected a rejection");
}

/** Kinds and keys of a run's journal. */
export async function journalOf(
  db: Database,
  runId: string,
): Promise<
  { seq: number; epoch: number; kind: number; key: string | null; body: string | null; blob: string | null; at: Date }[]
> {
  return db.query("select seq, epoch, kind, key, body, blob, at from longhaul.journal where run_id = $1 order by seq", [
    runId,
  ]);
}
