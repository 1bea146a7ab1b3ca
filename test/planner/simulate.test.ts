// The simulator repeats itself, loses nothing, and agrees with what is known about queues.
import { describe, expect, test } from "vitest";
import { dayProfile } from "../../src/planner/day-profile.ts";
import { simulate } from "../../src/planner/simulate.ts";
import type { Arrival } from "../../src/planner/workload.ts";
import { DAY_MS, erlangWaitMs, HOUR_MS, scenario, workload } from "./scenarios.ts";

const busy = { ...workload, perDay: 12_000 };

test("the same seed gives the same figures, another seed gives others", () => {
  const first = simulate(scenario({ workload: busy, seed: 7 }));
  expect(simulate(scenario({ workload: busy, seed: 7 }))).toEqual(first);
  expect(simulate(scenario({ workload: busy, seed: 8 }))).not.toEqual(first);
});

test.each([
  ["a quiet day", scenario()],
  ["more than it can do", scenario({ workload: { ...workload, perDay: 30_000 } })],
  [
    "waits that outlast the day",
    scenario({ workload: { ...busy, waiting: { share: 0.5, time: { kind: "exponential", meanMs: 10 * HOUR_MS } } } }),
  ],
  [
    "a provider that is too small",
    scenario({ workload: busy, limits: { requestsPerMinute: 50, tokensPerMinute: null } }),
  ],
  [
    "a fleet that follows",
    scenario({ workload: { ...busy, profile: dayProfile(4) }, fleet: { workers: 0, workersMax: 9, slots: 5 } }),
  ],
  ["tenants at their caps", scenario({ workload: { ...busy, tenants: [{ cap: 1 }, { cap: 2 }, {}] } })],
  [
    "no calls",
    scenario({ workload: { ...busy, callsPerRun: 0, waiting: { share: 0.3, time: { kind: "constant", ms: 5_000 } } } }),
  ],
  [
    "one call, timed by itself",
    scenario({
      workload: { ...busy, callsPerRun: 1, pace: { per: "call", time: { kind: "exponential", meanMs: 9_000 } } },
    }),
  ],
])("every run is somewhere: %s", (_, given) => {
  const { arrived, finished, queued, running, waiting } = simulate(given);
  expect(arrived).toBeGreaterThan(0);
  expect(arrived).toBe(finished + queued + running + waiting);
});

test("without an end it runs until the last run of the schedule has ended", () => {
  const schedule: Arrival[] = [0, 10, 20].map((atMs) => ({ atMs, tenant: 0, runMs: 100, waitMs: 0 }));
  const arrivals = () => schedule.shift() ?? null;
  const result = simulate(
    scenario({
      arrivals,
      durationMs: Number.POSITIVE_INFINITY,
      fleet: { workers: 1, slots: 1, handoverMs: 0 },
    }),
  );
  expect(result).toMatchObject({ arrived: 3, finished: 3, measuredMs: 300, queueDepthMax: 2, runningMax: 1 });
  expect(result.wait.meanMs).toBeCloseTo((0 + 90 + 180) / 3);
  expect(result.utilisation.slots).toBeCloseTo(1);
});

describe("against Erlang's formula", () => {
  test.each([
    [1, 0.7],
    [4, 0.8],
    [20, 0.9],
  ])("%i slots, %f busy: mean wait within 5 %", (slots, load) => {
    const serviceMs = 1_000;
    const perMs = (slots * load) / serviceMs;
    const result = simulate({
      workload: {
        ...workload,
        perDay: perMs * DAY_MS,
        pace: { per: "run", time: { kind: "exponential", meanMs: serviceMs } },
      },
      fleet: { workers: 1, slots, handoverMs: 0 },
      durationMs: 600_000 / perMs,
      warmupMs: 10_000 / perMs,
    });
    expect(Math.abs(result.wait.meanMs / erlangWaitMs(perMs, serviceMs, slots) - 1)).toBeLessThan(0.05);
    expect(result.utilisation.slots).toBeCloseTo(load, 2);
    // Little: what is on average in the slots is what arrives times how long it stays.
    expect(result.finishedPerSecond).toBeCloseTo(perMs * 1_000, 0);
  });
});

test("as many runs arrive as were asked for, most of them in the busy hours", () => {
  const profile = dayProfile(5);
  const atNoon = simulate(scenario({ workload: { ...busy, profile }, fleet: { workers: 10, slots: 100 } }));
  expect(atNoon.arrived / busy.perDay).toBeCloseTo(1, 1);
  const morning = simulate(
    scenario({ workload: { ...busy, profile }, durationMs: 8 * HOUR_MS, fleet: { workers: 10, slots: 100 } }),
  );
  expect(morning.arrived).toBeLessThan(0.1 * atNoon.arrived);
});

test("a fleet that follows the load starts workers at the peak, and costs fewer hours than one that is always large", () => {
  const peaky = { ...workload, perDay: 20_000, profile: dayProfile(6) };
  const fixed = simulate(scenario({ workload: peaky, fleet: { workers: 12, slots: 10 } }));
  const follows = simulate(scenario({ workload: peaky, fleet: { workers: 1, workersMax: 12, slots: 10 } }));
  expect(follows.workersMax).toBeGreaterThan(6);
  expect(follows.workerHours).toBeLessThan(0.6 * fixed.workerHours);
  // Who comes while a worker starts waits for it.
  expect(follows.wait.p99Ms).toBeGreaterThan(fixed.wait.p99Ms);
});

test("a waiting run holds no slot", () => {
  const waiting = { share: 1, time: { kind: "constant", ms: 6 * HOUR_MS } } as const;
  const result = simulate(scenario({ workload: { ...workload, waiting } }));
  const without = simulate(scenario());
  expect(result.waiting).toBeGreaterThan(200);
  expect(result.runningMax).toBeLessThanOrEqual(without.runningMax + 5);
});

test.each([
  ["a rate of NaN", { workload: { ...workload, perDay: Number.NaN } }],
  ["no slots", { fleet: { workers: 1, slots: 0 } }],
  ["half a worker", { fleet: { workers: 0.5, slots: 1 } }],
  ["a negative run time", { workload: { ...workload, pace: { per: "run", time: { kind: "constant", ms: -1 } } } }],
  [
    "a 95th percentile below the mean",
    { workload: { ...workload, pace: { per: "run", time: { kind: "lognormal", meanMs: 10, p95Ms: 9 } } } },
  ],
  ["tenants without a share", { workload: { ...workload, tenants: [{ share: 0 }] } }],
  ["a quota smaller than a call", { limits: { requestsPerMinute: null, tokensPerMinute: 900 } }],
] as const)("%s is refused", (_, changes) => {
  expect(() => simulate(scenario(changes))).toThrowError(expect.objectContaining({ code: "CAPACITY_INVALID" }));
});
