// The verbs about load: what waits, how many workers that asks for, what is late.
import { fail } from "../domain/errors.ts";
import { checkKey } from "../domain/key.ts";
import { SLA_MS, WORKER_SLOTS_DEFAULT } from "../domain/limits.ts";
import { addWaits, noWaits, waitQuantile } from "../domain/waits.ts";
import { SCALE_TARGET_DEFAULT } from "../domain/workers-wanted.ts";
import type { Database } from "../store/database.ts";
import {
  type AlertRow,
  countDeadLetters,
  readAlerts,
  readFullGates,
  readInFlight,
  readParked,
  readScale,
  readTopTenants,
  readTotals,
  watchLoad,
} from "../store/load.ts";
import { readTraffic, type TrafficRow } from "../store/traffic.ts";
import type {
  GateLoad,
  LoadAlert,
  LoadReport,
  QueueLoad,
  ScaleOptions,
  ScaleReport,
  TenantLoad,
} from "./load-views.ts";

const UNLIMITED = 2_147_483_647;
const WINDOW_MINUTES = 5;
const WORKERS_MAX = 10_000;
const DAY_MS = 86_400_000;
const TARGET_MAX = 10_000;

/** `tenant`: name no other tenant. */
export async function loadReport(db: Database, tenant: string | null): Promise<LoadReport> {
  const [queues, tenants, gates, deadLetters] = await Promise.all([
    queueLoads(db),
    tenantLoads(db, tenant),
    gateLoads(db, tenant),
    countDeadLetters(db, tenant),
  ]);
  return { queues, tenants, gates, deadLetters };
}

async function queueLoads(db: Database): Promise<QueueLoad[]> {
  const [totals, running, parked, traffic, alerts] = await Promise.all([
    readTotals(db),
    readInFlight(db),
    readParked(db),
    readTraffic(db),
    readAlerts(db),
  ]);
  const inFlight = new Map(running.map((row) => [placeOf(row), row.running]));
  const parkedTenants = new Map(parked.map((row) => [placeOf(row), row.parked]));
  const minutes = byPlace(traffic);
  const wrong = byPlace(alerts);
  return totals.map((row) => ({
    queue: row.queue,
    build: row.build,
    depth: row.depth,
    held: row.depth - row.open,
    oldestMs: row.oldest_ms,
    heldMs: row.held_ms,
    inFlight: inFlight.get(placeOf(row)) ?? 0,
    workers: row.workers,
    slots: row.slots,
    parkedTenants: parkedTenants.get(placeOf(row)) ?? 0,
    ...throughput(minutes.get(placeOf(row)) ?? []),
    alerts: (wrong.get(placeOf(row)) ?? []).map(({ kind, sla_ms, raised_at }) => ({
      kind,
      slaMs: sla_ms,
      since: raised_at.toISOString(),
    })),
  }));
}

function throughput(
  minutes: readonly TrafficRow[],
): Pick<QueueLoad, "startedPerMinute" | "finishedPerMinute" | "waitMs"> {
  let waits = noWaits();
  let started = 0;
  let finished = 0;
  for (const minute of minutes) {
    waits = addWaits(waits, minute.waits);
    started += minute.started;
    finished += minute.finished;
  }
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((q) => waitQuantile(waits, q));
  return {
    startedPerMinute: started / WINDOW_MINUTES,
    finishedPerMinute: finished / WINDOW_MINUTES,
    waitMs: p50 == null || p95 == null || p99 == null ? null : { p50, p95, p99 },
  };
}

async function tenantLoads(db: Database, tenant: string | null): Promise<TenantLoad[]> {
  const rows = await readTopTenants(db, tenant);
  return rows.map(({ tenant_id, in_flight, cap, oldest_ms, ...row }) => ({
    tenant: tenant_id,
    ...row,
    inFlight: in_flight,
    cap: cap === UNLIMITED ? null : cap,
    oldestMs: oldest_ms,
  }));
}

async function gateLoads(db: Database, tenant: string | null): Promise<GateLoad[]> {
  const rows = await readFullGates(db, tenant);
  return rows.map(({ tenant_id, key, in_flight, ...row }) => ({
    ...row,
    tenant: tenant_id === "" ? null : tenant_id,
    key: tenant_id === "" ? null : key,
    inFlight: in_flight,
  }));
}

/** @throws REQUEST_INVALID, KEY_INVALID */
export async function scaleReport(db: Database, ownBuild: string, options: ScaleOptions): Promise<ScaleReport> {
  const queues = options.queues === undefined ? null : options.queues.map((queue) => checkKey("queue", queue));
  const build = checkKey("build", options.build ?? ownBuild);
  const min = within("min", options.min ?? 0, 0, WORKERS_MAX);
  const max = within("max", options.max ?? Math.max(10, min), Math.max(1, min), WORKERS_MAX);
  const slots = within("slots", options.slots ?? WORKER_SLOTS_DEFAULT, 1, WORKERS_MAX);
  const slaMs = within("slaMs", options.slaMs ?? SLA_MS, 1, DAY_MS);
  const target = within("target", options.target ?? SCALE_TARGET_DEFAULT, 1, TARGET_MAX);
  const row = await readScale(db, { queues, build, min, max, slots, slaMs, target });
  return {
    desiredWorkers: row.desired,
    queues,
    build,
    depth: row.depth,
    runnable: row.runnable,
    waking: row.waking,
    inFlight: row.in_flight,
    oldestMs: row.oldest_ms,
    workers: row.workers,
    served: row.workers > 0,
  };
}

function within(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw fail("REQUEST_INVALID", { problem: `${name}: expected a whole number from ${least} to ${most}` });
}

/** What became late or unserved since anybody asked, or is well again. Each change is told once, to one caller. */
export async function alertChanges(db: Database, slaMs: number): Promise<LoadAlert[]> {
  const rows = await watchLoad(db, within("slaMs", slaMs, 1, DAY_MS));
  return rows.map((row) => ({
    event: row.raised ? "raised" : "cleared",
    kind: row.kind,
    queue: row.queue,
    build: row.build,
    depth: row.depth,
    oldestMs: row.oldest_ms,
    workers: row.workers,
    slaMs: row.sla_ms,
    since: row.raised_at.toISOString(),
  }));
}

type Placed = Pick<AlertRow, "queue" | "build">;

/** Neither name can hold a NUL. */
const placeOf = ({ queue, build }: Placed): string => `${queue}\0${build}`;

function byPlace<Row extends Placed>(rows: readonly Row[]): Map<string, Row[]> {
  const map = new Map<string, Row[]>();
  for (const row of rows) map.set(placeOf(row), [...(map.get(placeOf(row)) ?? []), row]);
  return map;
}
