// The reckoning: what the witness saw, held against what the journals say. Pure, so that a test can show it a lie.
import type { RunEvent } from "../../src/index.ts";
import type { WitnessLine } from "./witness.ts";

export interface Evidence {
  /** Run → its whole journal, in order. */
  readonly journals: ReadonlyMap<string, readonly RunEvent[]>;
  readonly witness: readonly WitnessLine[];
  /** How far the database's clock is ahead of the workers'. */
  readonly clockAheadMs: number;
}

export interface Takeover {
  readonly runId: string;
  readonly fromWorkerId: string;
  readonly byWorkerId: string;
  /** When the run went on, by the workers' clock. */
  readonly atMs: number;
}

export interface Reckoning {
  readonly succeeded: number;
  readonly stepsRecorded: number;
  readonly bodiesBegun: number;
  /** Bodies that began and whose outcome was never recorded, because their process was killed. */
  readonly bodiesCutOff: number;
  /** Bodies that began after their outcome had been recorded: `run step`. Must be empty. */
  readonly reExecuted: readonly string[];
  /** Bodies that began more often than losses of workers and failed attempts explain, or steps recorded that nobody saw begin. Must be empty. */
  readonly unexplained: readonly string[];
  /** Journals with a gap, a falling epoch, a step recorded twice, or no end. Must be empty. */
  readonly broken: readonly string[];
  readonly takeovers: readonly Takeover[];
}

export function reckon({ journals, witness, clockAheadMs }: Evidence): Reckoning {
  const begun = beginnings(witness);
  const reExecuted: string[] = [];
  const unexplained: string[] = [];
  let stepsRecorded = 0;
  let bodiesBegun = 0;
  for (const [runId, journal] of journals) {
    const recorded = journal.filter(({ kind }) => kind === "step");
    stepsRecorded += recorded.length;
    for (const record of recorded) {
      const name = `${runId} ${record.key}`;
      const beginningsMs = begun.get(name) ?? [];
      const recordedMs = Date.parse(record.at) - clockAheadMs;
      const before = journal.slice(0, record.seq);
      const losses = before.filter(({ kind }) => kind === "lost").length;
      const failures = before.filter(({ kind, key }) => kind === "attempt" && key === record.key).length;
      bodiesBegun += beginningsMs.length;
      for (const atMs of beginningsMs) if (atMs > recordedMs) reExecuted.push(name);
      if (beginningsMs.length === 0 || beginningsMs.length > 1 + losses + failures) unexplained.push(name);
    }
  }
  return {
    succeeded: [...journals.values()].filter(hasSucceeded).length,
    stepsRecorded,
    bodiesBegun,
    bodiesCutOff: bodiesBegun - stepsRecorded,
    reExecuted,
    unexplained,
    broken: [...journals].flatMap(([runId, journal]) => faultsOf(journal).map((fault) => `${runId}: ${fault}`)),
    takeovers: [...journals].flatMap(([runId, journal]) => takeoversOf(runId, journal, clockAheadMs)),
  };
}

/** Run and step → when its bodies began. */
function beginnings(witness: readonly WitnessLine[]): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const { what, runId, step, atMs } of witness) {
    if (what !== "began") continue;
    const name = `${runId} ${step}`;
    found.set(name, [...(found.get(name) ?? []), atMs]);
  }
  return found;
}

function hasSucceeded(journal: readonly RunEvent[]): boolean {
  const last = journal.at(-1);
  return last?.kind === "finished" && (last.data as { status?: unknown }).status === "succeeded";
}

function faultsOf(journal: readonly RunEvent[]): string[] {
  const faults: string[] = [];
  let epoch = 0;
  const steps = new Set<string | null>();
  for (const [place, event] of journal.entries()) {
    if (event.seq !== place + 1) faults.push(`entry ${place + 1} has number ${event.seq}`);
    if (event.epoch < epoch) faults.push(`entry ${event.seq} was written under epoch ${event.epoch}, after ${epoch}`);
    epoch = event.epoch;
    if (event.kind !== "step") continue;
    if (steps.has(event.key)) faults.push(`step ${event.key} was recorded twice`);
    steps.add(event.key);
  }
  if (journal.at(-1)?.kind !== "finished") faults.push("it has no end");
  return faults;
}

function takeoversOf(runId: string, journal: readonly RunEvent[], clockAheadMs: number): Takeover[] {
  const found: Takeover[] = [];
  let lost: string | null = null;
  for (const event of journal) {
    if (event.kind === "lost") lost = workerOf(event);
    if (event.kind !== "claimed" || lost === null) continue;
    const atMs = Date.parse(event.at) - clockAheadMs;
    found.push({ runId, fromWorkerId: lost, byWorkerId: workerOf(event), atMs });
    lost = null;
  }
  return found;
}

export function workerOf(event: RunEvent): string {
  return String((event.data as { worker?: unknown }).worker);
}
