// The property behind everything: a program that is taken over at random moments sees and gives what it would have without (7, 9, 10).
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { journalOf, until, useStage } from "../support/longhaul.ts";
import { interpreter, leaf, type Node, programs, signalsOf, type Witness, witnesses } from "./random-programs.ts";

const stage = useStage();
const RUNS = Number(process.env["LONGHAUL_FUZZ_RUNS"] ?? 20);
/** Pauses between takeovers, in milliseconds. */
const takeovers = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 5 });

/** A run that is never disturbed proves nothing (56). */
let takenInAll = 0;
beforeEach(() => {
  takenInAll = 0;
});
afterEach(() => expect(takenInAll).toBeGreaterThan(RUNS / 2));

async function execute(
  longhaul: LonghaulProcess,
  program: Node,
  pauses: readonly number[],
): Promise<{ runId: string; output: unknown; witness: Witness; taken: number }> {
  const id = crypto.randomUUID();
  const witness: Witness = { traces: [], bodies: new Map() };
  witnesses.set(id, witness);
  const handle = await longhaul.submit(interpreter, { id, program });
  for (const name of signalsOf(program)) await longhaul.signal(handle.runId, name, null);
  let taken = 0;
  for (const pauseMs of pauses) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    if ((await longhaul.get(handle.runId))?.status !== "running") continue;
    await stage.takeOver(handle.runId);
    taken += 1;
  }
  const run = await until(async () => {
    const now = await longhaul.get(handle.runId);
    return (now?.finishedAt !== null || now?.status === "paused") && now;
  });
  expect(run).toMatchObject({ status: "succeeded", reason: null });
  takenInAll += taken;
  return { runId: handle.runId, output: await handle.result(), witness, taken };
}

/** What two executions of one run saw must agree as far as both went. */
function expectAgreement({ traces }: Witness): void {
  const longest = traces.reduce((a, b) => (b.length > a.length ? b : a), []);
  for (const trace of traces) expect(trace).toEqual(longest.slice(0, trace.length));
}

function expectFewBodies({ bodies }: Witness, taken: number, retries: number): void {
  for (const [key, starts] of bodies) expect(starts, key).toBeLessThanOrEqual(1 + taken + retries);
}

async function expectWholeJournal(runId: string): Promise<void> {
  const entries = await journalOf(stage.db, runId);
  expect(entries.map((entry) => entry.seq)).toEqual(entries.map((_, i) => i + 1));
  const epochs = entries.map((entry) => entry.epoch);
  expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
  const recorded = entries.filter((entry) => [10, 14, 15, 18].includes(entry.kind)).map((entry) => entry.key);
  expect(new Set(recorded).size).toBe(recorded.length);
}

test.each([
  ["cold", 0],
  ["warm", 5_000],
])(
  "programs with a decided outcome give it, however often they are taken over (%s)",
  { timeout: 300_000 },
  async (_, warmMs) => {
    const first = await stage.worker([interpreter, leaf], { warmMs, slots: 50 });
    await stage.worker([interpreter, leaf], { warmMs, slots: 50 });
    await fc.assert(
      fc.asyncProperty(programs("decided"), takeovers, async (program, pauses) => {
        const undisturbed = await execute(first, program, []);
        const disturbed = await execute(first, program, pauses);
        expect(disturbed.output).toEqual(undisturbed.output);
        expectAgreement(disturbed.witness);
        expectFewBodies(disturbed.witness, disturbed.taken, 2);
        expectFewBodies(undisturbed.witness, 0, 2);
        await expectWholeJournal(disturbed.runId);
      }),
      { numRuns: RUNS },
    );
  },
);

test("programs whose races are open see one winner, at every execution", { timeout: 300_000 }, async () => {
  const first = await stage.worker([interpreter, leaf], { warmMs: 0, slots: 50 });
  await stage.worker([interpreter, leaf], { warmMs: 0, slots: 50 });
  await fc.assert(
    fc.asyncProperty(programs("open"), takeovers, async (program, pauses) => {
      const disturbed = await execute(first, program, pauses);
      expectAgreement(disturbed.witness);
      expectFewBodies(disturbed.witness, disturbed.taken, 2);
      await expectWholeJournal(disturbed.runId);
    }),
    { numRuns: RUNS },
  );
});
