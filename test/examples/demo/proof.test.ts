// The demo's reckoning must see a lie: journals and witness lines with one thing wrong each.
import { expect, test } from "vitest";
import { type Evidence, reckon } from "../../../examples/demo/proof.ts";
import type { WitnessLine } from "../../../examples/demo/witness.ts";
import type { RunEvent } from "../../../src/index.ts";

const RUN = "01990000-0000-7000-8000-000000000001";
const START_MS = Date.UTC(2026, 0, 1);

type Entry = readonly [kind: RunEvent["kind"], epoch: number, atMs: number, key: string | null, data: unknown];

function journal(...entries: Entry[]): RunEvent[] {
  return entries.map(([kind, epoch, atMs, key, data], place) => {
    return { runId: RUN, seq: place + 1, kind, key, epoch, at: new Date(START_MS + atMs).toISOString(), data };
  });
}

function began(step: string, atMs: number, pid = 1): WitnessLine {
  return { what: "began", runId: RUN, step, pid, atMs: START_MS + atMs };
}

/** Worker one is killed in the middle of step b, 250 ms after it began; worker two takes over at 400 ms. */
const KILLED = journal(
  ["claimed", 1, 0, null, { worker: "one" }],
  ["step", 1, 100, "a#1", {}],
  ["lost", 2, 390, null, { worker: "one" }],
  ["claimed", 3, 400, null, { worker: "two" }],
  ["step", 3, 600, "b#1", {}],
  ["finished", 3, 610, null, { status: "succeeded" }],
);
const SEEN = [began("a#1", 10), began("b#1", 120), began("b#1", 420, 2)];

function evidence(journalOfRun: RunEvent[], witness: WitnessLine[], clockAheadMs = 0): Evidence {
  return { journals: new Map([[RUN, journalOfRun]]), witness, clockAheadMs };
}

test("a kill in the middle of a step is no lie", () => {
  const seen = reckon(evidence(KILLED, SEEN));
  expect(seen).toMatchObject({ succeeded: 1, stepsRecorded: 2, bodiesBegun: 3, bodiesCutOff: 1 });
  expect([seen.reExecuted, seen.unexplained, seen.broken]).toEqual([[], [], []]);
  expect(seen.takeovers).toEqual([{ runId: RUN, fromWorkerId: "one", byWorkerId: "two", atMs: START_MS + 400 }]);
});

test("a body that begins after the record of its step is found", () => {
  const seen = reckon(evidence(KILLED, [...SEEN, began("a#1", 410, 2)]));
  expect(seen.reExecuted).toEqual([`${RUN} a#1`]);
});

test("clocks that differ are taken into account", () => {
  const behind = SEEN.map((line) => ({ ...line, atMs: line.atMs - 5_000 }));
  expect(reckon(evidence(KILLED, behind, 5_000)).reExecuted).toEqual([]);
  expect(reckon(evidence(KILLED, [...behind, began("a#1", 410 - 5_000)], 5_000)).reExecuted).toEqual([`${RUN} a#1`]);
});

test("a body that begins twice although no worker was lost is unexplained", () => {
  const whole = journal(
    ["claimed", 1, 0, null, { worker: "one" }],
    ["step", 1, 100, "a#1", {}],
    ["finished", 1, 110, null, { status: "succeeded" }],
  );
  expect(reckon(evidence(whole, [began("a#1", 10), began("a#1", 20)])).unexplained).toEqual([`${RUN} a#1`]);
  const retried = journal(
    ["claimed", 1, 0, null, { worker: "one" }],
    ["attempt", 1, 15, "a#1", {}],
    ["step", 1, 100, "a#1", {}],
    ["finished", 1, 110, null, { status: "succeeded" }],
  );
  expect(reckon(evidence(retried, [began("a#1", 10), began("a#1", 20)])).unexplained).toEqual([]);
});

test("a recorded step that nobody saw begin is unexplained", () => {
  expect(reckon(evidence(KILLED, SEEN.slice(1))).unexplained).toEqual([`${RUN} a#1`]);
});

test.each<[what: string, journal: RunEvent[], fault: RegExp]>([
  ["a gap", KILLED.filter(({ seq }) => seq !== 3), /entry 3 has number 4/],
  ["a falling epoch", KILLED.map((event) => ({ ...event, epoch: event.seq === 5 ? 1 : event.epoch })), /epoch 1/],
  ["a step recorded twice", KILLED.map((event) => ({ ...event, key: event.key && "a#1" })), /recorded twice/],
  ["no end", KILLED.slice(0, -1), /no end/],
])("a journal with %s is broken", (_, faulty, fault) => {
  expect(reckon(evidence(faulty, SEEN)).broken.join()).toMatch(fault);
});

test("a run that failed has not succeeded", () => {
  const failed = KILLED.map((event) => (event.kind === "finished" ? { ...event, data: { status: "failed" } } : event));
  expect(reckon(evidence(failed, SEEN)).succeeded).toBe(0);
});
