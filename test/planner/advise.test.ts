// The advice starts simple, grows with the load, keeps its promise when simulated, and says what is missing where it cannot.
import { describe, expect, test } from "vitest";
import { advise } from "../../src/planner/advise.ts";
import { ASSUMPTIONS, assume } from "../../src/planner/assumptions.ts";
import type { Asked } from "../../src/planner/question.ts";
import { smallest } from "../../src/planner/search.ts";
import { SHAPES } from "../../src/planner/shapes.ts";

const SIZES = [10, 100, 1_000, 10_000, 100_000, 1_000_000, 100_000_000];

describe("the shape", () => {
  test.each([
    [10, "one command", "longhaul start"],
    [100, "one command", "longhaul start"],
    [1_000, "one command", "longhaul start"],
    [100_000, "one machine", "longhaul start --workers 7 --slots 189"],
    [1_000_000, "many machines", "longhaul server"],
    [100_000_000, "many clusters", "longhaul server"],
  ])("%i tasks a day: %s", (tasksPerDay, name, command) => {
    const { shape, holds, postgres } = advise({ tasksPerDay });
    expect(shape.name).toBe(name);
    expect(shape.commands[0]).toContain(command);
    expect(shape.reason).toMatch(/^[A-Z0-9].*\.$/);
    expect(holds).toBe(true);
    expect(postgres.embedded).toBe(tasksPerDay <= 10_000);
  });

  test("never gets simpler, smaller or cheaper when the load grows", () => {
    const plans = SIZES.map((tasksPerDay) => advise({ tasksPerDay }));
    for (const [place, plan] of plans.entries()) {
      const before = plans[place - 1];
      if (before === undefined) continue;
      expect(SHAPES.indexOf(plan.shape.name)).toBeGreaterThanOrEqual(SHAPES.indexOf(before.shape.name));
      expect(plan.workers).toBeGreaterThanOrEqual(before.workers);
      expect(plan.monthly.totalUsd).toBeGreaterThan(before.monthly.totalUsd);
    }
  });

  test("a long history needs a database of its own although one machine is enough", () => {
    const { shape, postgres } = advise({ tasksPerDay: 10_000 }, assume({ retentionDays: 3_650 }));
    expect(shape).toMatchObject({
      name: "one command",
      commands: ["DATABASE_URL=postgres://… longhaul start --slots 189"],
    });
    expect(shape.reason).toContain("GB of runs that are kept are too much for the embedded PostgreSQL");
    expect(postgres.embedded).toBe(false);
  });
});

describe("workers", () => {
  test("as few as hold the promise: one less does not, or leaves no room", () => {
    const asked: Asked = { tasksPerDay: 20_000, slots: 4, slaSeconds: 5, peak: 1 };
    const { workers, holds, simulated, demand } = advise(asked);
    expect(holds).toBe(true);
    expect(simulated.wait.p95Ms).toBeLessThanOrEqual(5_000);
    const fewer = advise({ ...asked, workers: workers - 1 });
    expect(!fewer.holds || demand.runsAtOnce > (workers - 1) * 4 * ASSUMPTIONS.workerLoadMax).toBe(true);
  });

  test("a tighter promise takes more of them", () => {
    const of = (slaSeconds: number) => advise({ tasksPerDay: 2_000, slots: 1, slaSeconds, peak: 1 }).workers;
    expect(of(0.1)).toBeGreaterThan(of(600));
  });

  test("a number that is given is judged", () => {
    expect(advise({ tasksPerDay: 100_000, workers: 3 })).toMatchObject({ workers: 3, holds: false });
    expect(advise({ tasksPerDay: 100_000, workers: 9 })).toMatchObject({ workers: 9, holds: true });
  });

  test("memory and thread bound the slots of one", () => {
    expect(advise({ tasksPerDay: 1e6 }, assume({ memoryPerRunMb: 100 }))).toMatchObject({ slotsPerWorker: 37 });
    expect(advise({ tasksPerDay: 1e6 }, assume({ cpuMsPerStep: 100 })).slotsBoundBy).toBe("thread");
    expect(advise({ tasksPerDay: 10, slots: 5_000 }).notes.join()).toContain("carries 189 runs at once");
  });
});

describe("what binds", () => {
  test("caps of the tenants: more workers do not help", () => {
    const { holds, bottleneck } = advise({ tasksPerDay: 10_000, tenants: 10, tenantCap: 5 });
    expect(holds).toBe(false);
    expect(bottleneck).toMatchObject({ what: "tenant caps", sentence: expect.stringContaining("bind already") });
  });

  test("a quota that is too small: the one that would be enough is named", () => {
    const asked: Asked = { tasksPerDay: 10_000, requestsPerMinute: 100 };
    const { holds, bottleneck, provider, notes } = advise(asked);
    expect(holds).toBe(false);
    expect(bottleneck?.what).toBe("provider quota");
    expect(notes[0]).toContain("does not carry the busy hour");
    const { requestsPerMinute } = provider;
    expect(advise({ ...asked, requestsPerMinute })).toMatchObject({ holds: true });
  });

  test("the quota to ask for leaves calls hardly waiting", () => {
    for (const tasksPerDay of SIZES.slice(0, 6)) {
      const { simulated, provider } = advise({ tasksPerDay });
      expect(simulated.callWait.p95Ms).toBeLessThanOrEqual(1_000);
      expect(simulated.utilisation.requests).toBeLessThan(0.9);
      expect(provider.tokensPerMinute).not.toBeNull();
    }
  });

  test("runs that call no model need none", () => {
    expect(advise({ tasksPerDay: 1_000, callsPerRun: 0 })).toMatchObject({
      provider: { requestsPerMinute: null, tokensPerMinute: null },
      monthly: { modelUsd: 0 },
    });
  });
});

test("costs follow from what is assumed, each part by itself", () => {
  const of = (changes: Record<string, unknown>) => advise({ tasksPerDay: 1_000_000 }, assume(changes)).monthly;
  const usual = of({});
  expect(usual.modelUsd).toBeCloseTo(1e6 * 30 * 10 * 3_000 * 2e-6);
  expect(of({ usdPerMillionTokens: 4 }).modelUsd).toBeCloseTo(2 * usual.modelUsd);
  expect(of({ workerUsdPerMonth: 10 }).workersUsd).toBeCloseTo(usual.workersUsd / 5);
  expect(of({ storageUsdPerGbMonth: 0 }).storageUsd).toBe(0);
  const { totalUsd, ...parts } = usual;
  expect(totalUsd).toBeCloseTo(Object.values(parts).reduce((sum, usd) => sum + usd, 0));
});

test("the same question has the same answer", () => {
  const asked = { tasksPerDay: 5_000, waitingShare: 0.3, tenants: 7 };
  expect(advise(asked)).toEqual(advise(asked));
});

test("the search finds the first that holds, or none", () => {
  for (const [least, first] of [
    [1, 1],
    [3, 3],
    [3, 11],
    [10, 47],
  ] as const)
    expect(smallest(least, (workers) => workers >= first)).toBe(first);
  expect(smallest(5, () => false)).toBeNull();
});

describe("bad input", () => {
  test.each([
    { tasksPerDay: -1 },
    { tasksPerDay: 0 },
    { tasksPerDay: Number.NaN },
    { tasksPerDay: Number.POSITIVE_INFINITY },
    { tasksPerDay: 1e12 },
    { tasksPerDay: "many" as unknown as number },
    { tasksPerDay: 10, runMinutes: 0 },
    { tasksPerDay: 10, runMinutes: 1e9 },
    { tasksPerDay: 10, runMinutes: 5, runMinutesP95: 4 },
    { tasksPerDay: 10, runMinutes: 5, callSeconds: 5 },
    { tasksPerDay: 10, callsPerRun: 0, callSeconds: 5 },
    { tasksPerDay: 10, callsPerRun: -3 },
    { tasksPerDay: 10, slaSeconds: 0 },
    { tasksPerDay: 10, tenants: 1.5 },
    { tasksPerDay: 10, tenantCap: 0 },
    { tasksPerDay: 10, waitingShare: 1.1 },
    { tasksPerDay: 10, peak: 0.5 },
    { tasksPerDay: 10, peak: 25 },
    { tasksPerDay: 10, slots: 0 },
    { tasksPerDay: 10, workers: 0.5 },
    { tasksPerDay: 10, requestsPerMinute: -5 },
  ] satisfies Asked[])("%j", (asked) => {
    expect(() => advise(asked)).toThrowError(expect.objectContaining({ code: "CAPACITY_INVALID" }));
  });

  test.each([
    [{ workerUsdPerMont: 3 }, "workerUsdPerMonth"],
    [{ workerUsdPerMonth: "3" }, "a number"],
    [{ memoryPerRunMb: 0 }, "above 0"],
    [{ loadMax: 2 }, "at most 1"],
    [{ postgres: [] }, "a list of sizes"],
    [{ postgres: [{ name: "x", stepsPerSecond: -1 }] }, "above 0"],
  ])("assumptions %j", (changes, hint) => {
    expect(() => assume(changes)).toThrowError(
      expect.objectContaining({ code: "CAPACITY_INVALID", hint: expect.stringContaining(hint) }),
    );
  });
});
