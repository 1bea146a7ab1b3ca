// The figures that a plan is made from: counted over all tenants, of the window asked for, without what waiting took.
import { afterAll, beforeAll, expect, test } from "vitest";
import { readPlanFigures } from "../../src/store/plan-figures.ts";
import { HISTORY_RUNS, recordHistory } from "../support/history.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

let fresh: FreshDatabase;

beforeAll(async () => {
  fresh = await freshDatabase();
});
afterAll(() => fresh.drop());

test("an installation without runs has none", async () => {
  expect(await readPlanFigures(fresh.db, 168)).toMatchObject({ runs: 0, ended: 0, tenants: 0, observed_hours: 0 });
});

test("run times, steps and waits are those of the ended runs, arrivals those of all", async () => {
  await recordHistory(fresh.db);
  const figures = await readPlanFigures(fresh.db, 168);
  expect(figures).toMatchObject({ runs: HISTORY_RUNS, ended: HISTORY_RUNS / 2, tenants: 4, steps_per_run: 6 });
  expect(figures.active_ms_mean).toBeCloseTo(60_000, -4);
  expect(figures.active_ms_p95).toBeGreaterThan(figures.active_ms_mean);
  expect(figures.waiting_share).toBeCloseTo(0.25, 1);
  expect(figures.wait_ms_mean / 3_600_000).toBeCloseTo(2, 1);
  expect(figures.observed_hours).toBeCloseTo(48, -1);
  expect(figures.busiest_per_hour).toBeCloseTo(HISTORY_RUNS / 48, -1);
});

test("a smaller window sees less", async () => {
  const figures = await readPlanFigures(fresh.db, 24);
  expect(figures.runs).toBeLessThan(HISTORY_RUNS * 0.6);
  expect(figures.observed_hours).toBeLessThanOrEqual(24.1);
});
