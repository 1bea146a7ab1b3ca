// What the demo may say at the end: the promises that this run put to the test, each with what it is read from.
import type { Longhaul, RunEvent } from "../../src/index.ts";
import type { Kill } from "./crew.ts";
import { type Reckoning, reckon } from "./proof.ts";
import type { SceneOne } from "./scene-one.ts";
import type { SceneTwo } from "./scene-two.ts";
import type { Stage } from "./stage.ts";
import type { KillRow, Proof, SceneTable, Verdict } from "./tale.ts";
import { readWitness, type WitnessLine } from "./witness.ts";

const READ_AT_ONCE = 50;
/** Longer than any read of a journal that has ended; one that has not is read as far as it goes. */
const READ_MS = 5_000;

export interface SceneProof {
  readonly journals: ReadonlyMap<string, readonly RunEvent[]>;
  readonly reckoning: Reckoning;
}

/** Reads the journals of these runs and the witness file, and holds one against the other. */
export async function proveRuns(stage: Stage, runIds: readonly string[]): Promise<SceneProof> {
  const journals = new Map<string, readonly RunEvent[]>();
  for (let at = 0; at < runIds.length; at += READ_AT_ONCE) {
    const some = runIds.slice(at, at + READ_AT_ONCE);
    const read = await Promise.all(some.map((runId) => journalOf(stage.longhaul, runId)));
    for (const [place, runId] of some.entries()) journals.set(runId, read[place] ?? []);
  }
  const { witness: file, clockAheadMs } = stage;
  return { journals, reckoning: reckon({ journals, witness: readWitness(file), clockAheadMs }) };
}

async function journalOf(longhaul: Longhaul, runId: string): Promise<RunEvent[]> {
  const abort = AbortSignal.timeout(READ_MS);
  const events: RunEvent[] = [];
  for await (const event of longhaul.stream(runId, { abort })) events.push(event);
  return events;
}

/** What is read under the first scene. */
export function proofOf({ streamed }: SceneOne, { reckoning, journals }: SceneProof, kills: number): Proof[] {
  const { stepsRecorded, bodiesBegun, bodiesCutOff, reExecuted, unexplained, broken } = reckoning;
  const entries = [...journals.values()][0]?.length ?? 0;
  const same = sameEvents(streamed, journals);
  return [
    { by: "journal", says: `${stepsRecorded} steps recorded in ${entries} entries`, holds: broken.length === 0 },
    {
      by: "witness",
      says: `${bodiesBegun} step bodies began; ${bodiesCutOff} of them cut off by ${plural(kills, "kill")}, and begun again`,
      holds: unexplained.length === 0,
    },
    {
      by: "witness",
      says: `${reExecuted.length === 0 ? "no recorded step ran again: " : ""}${plural(reExecuted.length, "body", "bodies")} began after their record`,
      holds: reExecuted.length === 0,
    },
    {
      by: "stream",
      says: `${streamed.length} events over HTTP: ${same ? "the journal's, each once and in order" : "not those of the journal"}`,
      holds: same,
    },
  ];
}

export function verdictsOf(one: SceneOne, oneProof: SceneProof, two: SceneTwo, twoProof: SceneProof): Verdict[] {
  const [a, b] = [oneProof.reckoning, twoProof.reckoning];
  const runs = 1 + two.runIds.length;
  const succeeded = a.succeeded + b.succeeded;
  const recorded = a.stepsRecorded + b.stepsRecorded;
  const again = [...a.reExecuted, ...b.reExecuted];
  const unexplained = [...a.unexplained, ...b.unexplained];
  const broken = [...a.broken, ...b.broken];
  return [
    {
      promise: "An acknowledged run is never lost",
      kept: succeeded === runs,
      evidence: `${succeeded} of ${runs} acknowledged runs succeeded${first(two.stuck)}`,
    },
    {
      promise: "A recorded step never executes again",
      kept: again.length === 0,
      evidence: `${again.length} of ${count(recorded)} recorded steps began again${first(again)}`,
    },
    {
      promise: "A body runs more than once only if its process dies before the record",
      kept: unexplained.length === 0,
      evidence: `${count(a.bodiesCutOff + b.bodiesCutOff)} bodies were cut off by kills and begun again, ${unexplained.length} for no such reason${first(unexplained)}`,
    },
    {
      promise: "A journal has no gap, its epoch never falls, each step is in it once",
      kept: broken.length === 0,
      evidence: `${runs} journals read, ${broken.length} faults${first(broken)}`,
    },
    {
      promise: "A stream client sees every journaled event once and in order",
      kept: sameEvents(one.streamed, oneProof.journals),
      evidence: `${one.streamed.length} events of scene 1 over HTTP, the same as in its journal`,
    },
  ];
}

function first(problems: readonly string[]): string {
  return problems.length === 0 ? "" : `: ${problems[0]}`;
}

function sameEvents(streamed: readonly RunEvent[], journals: ReadonlyMap<string, readonly RunEvent[]>): boolean {
  const journal = [...journals.values()][0];
  return JSON.stringify(streamed) === JSON.stringify(journal);
}

export function tableOf(two: SceneTwo, proof: SceneProof, witness: readonly WitnessLine[], alone: number): SceneTable {
  const { reckoning } = proof;
  const ms = [...takeoverMs(two.kills, reckoning).values()].flat().sort((a, b) => a - b);
  const at = (part: number): number => ms[Math.min(ms.length - 1, Math.floor(part * ms.length))] ?? 0;
  return {
    runs: two.runIds.length,
    succeeded: reckoning.succeeded,
    stepsRecorded: reckoning.stepsRecorded,
    bodiesBegun: reckoning.bodiesBegun,
    bodiesCutOff: reckoning.bodiesCutOff,
    reExecuted: reckoning.reExecuted.length,
    takeovers: reckoning.takeovers.length,
    takeoverMs: ms.length === 0 ? null : { median: at(0.5), p95: at(0.95), slowest: ms.at(-1) ?? 0 },
    triedAlone: alone,
    seconds: two.tookMs / 1_000,
    kills: killRows(two, reckoning, witness),
  };
}

/** Worker id → from its kill to each of its runs going on. */
function takeoverMs(kills: readonly Kill[], { takeovers }: Reckoning): Map<string, number[]> {
  return new Map(
    kills.map(({ workerId, atMs }) => [
      workerId,
      takeovers.filter(({ fromWorkerId }) => fromWorkerId === workerId).map((takeover) => takeover.atMs - atMs),
    ]),
  );
}

function killRows(two: SceneTwo, reckoning: Reckoning, witness: readonly WitnessLine[]): KillRow[] {
  const times = takeoverMs(two.kills, reckoning);
  return two.kills.map(({ worker, workerId, atMs }) => {
    const ms = times.get(workerId) ?? [];
    const by = witness.filter(({ pid }) => pid === worker.pid);
    return {
      worker,
      atMs: atMs - two.startedAtMs,
      runs: ms.length,
      inHand: by.filter(({ what }) => what === "began").length - by.filter(({ what }) => what === "ended").length,
      firstMs: ms.length === 0 ? null : Math.min(...ms),
      lastMs: ms.length === 0 ? null : Math.max(...ms),
    };
  });
}

function count(number: number): string {
  return number.toLocaleString("en-US");
}

function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}
