// What needs no database: how many workers, how many processes, and what a histogram of waits says.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { processRange } from "../../src/domain/process-range.ts";
import { addWaits, noWaits, WAIT_BOUNDS_MS, waitBucket, waitQuantile } from "../../src/domain/waits.ts";
import { workersWanted } from "../../src/domain/workers-wanted.ts";

const rule = { min: 0, max: 20, slots: 10, target: 2, slaMs: 5_000 };
const quiet = { depth: 0, inFlight: 0, oldestMs: null, workers: 0 };

describe("workersWanted", () => {
  test.each([
    ["nothing to do: none", quiet, {}, 0],
    ["nothing to do, but some are always wanted", quiet, { min: 2 }, 2],
    ["one run: one worker", { ...quiet, depth: 1, oldestMs: 0 }, {}, 1],
    ["two runs per slot are no reason for another", { ...quiet, depth: 20, oldestMs: 0, workers: 1 }, {}, 1],
    ["more than two per slot are", { ...quiet, depth: 21, oldestMs: 0, workers: 1 }, {}, 2],
    ["what is in flight keeps its slots", { ...quiet, inFlight: 31, workers: 8 }, {}, 4],
    ["late: one more than there are", { ...quiet, depth: 1, oldestMs: 5_001, workers: 3 }, {}, 4],
    ["late with many: a quarter more", { ...quiet, depth: 1, oldestMs: 5_001, workers: 9 }, {}, 12],
    ["an age without runs is none", { ...quiet, oldestMs: 9_999, workers: 3 }, {}, 0],
    ["never more than the most", { ...quiet, depth: 1e15, inFlight: 1e12, oldestMs: 1e12, workers: 1e9 }, {}, 20],
  ])("%s", (_, demand, changes, wanted) => {
    expect(workersWanted(demand, { ...rule, ...changes })).toBe(wanted);
  });
});

describe("processRange", () => {
  test.each([
    ["4", { min: 4, max: 4 }],
    [4, { min: 4, max: 4 }],
    ["1..8", { min: 1, max: 8 }],
    [" 0..2 ", { min: 0, max: 2 }],
    ["3..3", { min: 3, max: 3 }],
    ["64", { min: 64, max: 64 }],
  ])("%j", (raw, range) => expect(processRange(raw)).toEqual(range));

  test.each([
    "8..1",
    "0..0",
    "0",
    "1..1000",
    "65",
    "-1..4",
    "1..",
    "..4",
    "1...4",
    "1.5",
    "",
    "many",
    0,
    1.5,
    null,
    [1],
    true,
  ])("refuses %j", (raw) => expect(processRange(raw)).toBeNull());
});

describe("waits", () => {
  test("a wait is in the first bucket whose bound it does not exceed", () => {
    expect([-5, 0, 1, 1.5, 3_600_000, 3_600_001].map(waitBucket)).toEqual([0, 0, 0, 1, 19, 20]);
  });

  test("of none there is no quantile; beyond the last bound that bound is known", () => {
    expect(waitQuantile(noWaits(), 0.5)).toBeNull();
    const late = noWaits();
    late[WAIT_BOUNDS_MS.length] = 3;
    expect(waitQuantile(late, 0.99)).toBe(3_600_000);
  });

  test("a quantile lies in the bucket of the true one, and they rise", () => {
    const waits = fc.array(fc.integer({ min: 0, max: 4_000_000 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(waits, fc.double({ min: 0.01, max: 1, noNaN: true }), (list, q) => {
        let histogram = noWaits();
        for (const ms of list) {
          const one = noWaits();
          one[waitBucket(ms)] = 1;
          histogram = addWaits(histogram, one);
        }
        const sorted = [...list].sort((a, b) => a - b);
        const truth = sorted[Math.max(0, Math.ceil(q * list.length) - 1)] as number;
        const place = waitBucket(truth);
        const found = waitQuantile(histogram, q) as number;
        expect(found).toBeGreaterThanOrEqual(WAIT_BOUNDS_MS[place - 1] ?? 0);
        expect(found).toBeLessThanOrEqual(WAIT_BOUNDS_MS[place] ?? 3_600_000);
      }),
    );
  });
});
