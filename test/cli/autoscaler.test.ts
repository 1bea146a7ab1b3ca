// When a supervisor starts another worker process, and when it stops one: decisions alone, with a clock of the test's own.
import { describe, expect, test } from "vitest";
import { Autoscaler, type ProcessState } from "../../src/cli/autoscaler.ts";

const IDLE_MS = 60_000;
const quiet = { depth: 0, inFlight: 0, oldestMs: null, workers: 1 };

function scaler(min = 1, max = 4): Autoscaler<string> {
  return new Autoscaler<string>({ range: { min, max }, rule: { slots: 10, target: 2, slaMs: 5_000 }, idleMs: IDLE_MS });
}

function processes(...states: readonly (number | "starting")[]): Map<string, ProcessState> {
  return new Map(
    states.map((state, n) => [
      `p${n}`,
      state === "starting" ? { ready: false, running: null } : { ready: true, running: state },
    ]),
  );
}

describe("starts one", () => {
  test("when more than two runs per slot wait, and says so", () => {
    expect(scaler().decide({ ...quiet, depth: 20, oldestMs: 100 }, processes(10), 0)).toBeNull();
    expect(scaler().decide({ ...quiet, depth: 21, oldestMs: 100 }, processes(10), 0)).toEqual({
      start: true,
      stop: null,
      reason: "21 runs wait",
    });
  });

  test("when the oldest waits longer than it should", () => {
    const decision = scaler().decide({ ...quiet, depth: 1, oldestMs: 7_000 }, processes(10), 0);
    expect(decision).toMatchObject({ start: true, reason: "the oldest of 1 runs waits for 7 s, longer than 5 s" });
  });

  test("but no other while it is starting, and none beyond the most", () => {
    const flood = { depth: 1_000, inFlight: 10, oldestMs: 60_000, workers: 1 };
    expect(scaler().decide(flood, processes(10, "starting"), 0)).toBeNull();
    expect(scaler().decide({ ...flood, workers: 2 }, processes(10, 10), 0)).toMatchObject({ start: true });
    expect(scaler().decide({ ...flood, workers: 4 }, processes(10, 10, 10, 10), 0)).toBeNull();
  });

  test("from none, for the first run", () => {
    expect(scaler(0).decide({ ...quiet, workers: 0 }, processes(), 0)).toBeNull();
    expect(scaler(0).decide({ ...quiet, workers: 0, depth: 1, oldestMs: 0 }, processes(), 0)).toMatchObject({
      start: true,
    });
  });

  test("not for what workers of other supervisors will take", () => {
    // Five are asked for: two are elsewhere, three are here.
    const shared = { depth: 100, inFlight: 0, oldestMs: 100, workers: 5 };
    expect(scaler().decide(shared, processes(0, 0, 0), 0)).toBeNull();
    expect(scaler().decide({ ...shared, workers: 4 }, processes(0, 0, 0), 0)).toMatchObject({ start: true });
  });
});

describe("stops one", () => {
  test("that has had nothing to do for the idle time, the longest idle first, one at a time", () => {
    const one = scaler();
    const demand = { ...quiet, inFlight: 5, workers: 3 };
    expect(one.decide(demand, processes(5, 0, 3), 0)).toBeNull();
    expect(one.decide(demand, processes(5, 0, 0), 1_000)).toBeNull();
    expect(one.decide(demand, processes(5, 0, 0), IDLE_MS - 1)).toBeNull();
    expect(one.decide(demand, processes(5, 0, 0), IDLE_MS)).toMatchObject({ start: false, stop: "p1" });
    const left = new Map([...processes(5, 0, 0)].filter(([name]) => name !== "p1"));
    expect(one.decide({ ...demand, workers: 2 }, left, IDLE_MS + 1)).toBeNull();
    expect(one.decide({ ...demand, workers: 2 }, left, IDLE_MS + 1_000)).toMatchObject({ stop: "p2" });
  });

  test("never one that runs something, nor below the least", () => {
    const one = scaler(2);
    for (const nowMs of [0, IDLE_MS, 2 * IDLE_MS]) {
      expect(one.decide({ ...quiet, inFlight: 6, workers: 3 }, processes(2, 2, 2), nowMs)).toBeNull();
    }
    for (const nowMs of [0, IDLE_MS]) expect(one.decide({ ...quiet, workers: 2 }, processes(0, 0), nowMs)).toBeNull();
  });

  test("not while what is in flight needs the slots, and a look that does not know changes nothing", () => {
    const one = scaler(1);
    const unknown = new Map([...processes(0, 0)].map(([name, state]) => [name, { ...state, running: null }]));
    expect(one.decide({ ...quiet, workers: 2 }, processes(0, 0), 0)).toBeNull();
    expect(one.decide({ ...quiet, workers: 2 }, unknown, IDLE_MS - 1)).toBeNull();
    expect(one.decide({ ...quiet, inFlight: 11, workers: 2 }, unknown, IDLE_MS)).toBeNull();
    expect(one.decide({ ...quiet, workers: 2 }, unknown, IDLE_MS)).toMatchObject({ stop: "p0" });
  });
});

test("a process that is missing is started, whatever the load", () => {
  expect(scaler(2).decide(quiet, processes(0), 0)).toMatchObject({ start: true, reason: "at least 2 are to run" });
});
