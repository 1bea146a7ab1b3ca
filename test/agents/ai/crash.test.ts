// A worker process is killed after entries of a tool loop's journal: what was recorded is never asked for again. The provider is the witness.
// Some entries of each program, others of the next; `npm run test:crash -- models` strikes at every statement.
import { setTimeout as pause } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { KIND } from "../../../src/domain/entry.ts";
import type { Database } from "../../../src/store/database.ts";
import { journalOf, until } from "../../support/longhaul.ts";
import { startWorker } from "../../support/worker-process.ts";
import { agents } from "./crash-agents.ts";
import { agents as openaiAgents } from "./openai-agents-stage.ts";
import { useAiStage } from "./stage.ts";

const stage = useAiStage();
const AI = { agents, module: new URL("./crash-agents.ts", import.meta.url) };
const OPENAI = { agents: openaiAgents, module: new URL("./openai-agents-stage.ts", import.meta.url) };

/** Model calls of the loop: three rounds with a tool, and the answer. */
const TURNS = 4;

async function untilEntry(db: Database, runId: string, seq: number): Promise<boolean> {
  for (;;) {
    const [row] = await db.query<{ seq: number; ended: boolean }>(
      `select coalesce(max(seq), 0)::int as seq, coalesce(bool_or(kind = ${KIND.finished}), false) as ended
         from longhaul.journal where run_id = $1`,
      [runId],
    );
    if ((row?.seq ?? 0) >= seq) return true;
    if (row?.ended === true) return false;
    await pause(1);
  }
}

describe.each([
  ["crash-6", AI, 1, 2],
  ["crash-7", AI, 2, 2],
  ["crash-chat", AI, 1, 2],
  ["crash-agents", OPENAI, 3, 4],
  ["crash-agents-stream", OPENAI, 4, 3],
] as const)("%s", (name, { agents, module }, first, every) => {
  test("a recorded call is never paid twice, wherever the process dies", async () => {
    const script = { loop: { tool: "add", times: TURNS - 1, arguments: { n: "{round}" } }, text: "sum" };
    const options = { url: stage.url, build: stage.build, module, gateway: stage.gateway };
    const client = await stage.client(agents);
    let victim = startWorker(options);
    let kills = 0;
    for (let entry = first; ; entry += every) {
      stage.fake.clear();
      // Slow enough that the kill comes before the next call has ended, most of the time.
      stage.fake.behave({ reply: script, latencyMs: 25 });
      const worker = await victim;
      const run = await client.submit(name, name === "crash-chat" ? "add" : null);
      const alive = await untilEntry(stage.db, run.runId, entry);
      await worker.kill();
      victim = startWorker(options);
      const recorded = (await journalOf(stage.db, run.runId)).filter(
        ({ kind, key }) => kind === KIND.step && key?.startsWith("model smart") === true,
      ).length;
      const killedAtMs = Date.now();
      await client.freeWorker(worker.workerId);
      const output = await run.result();
      expect(output).toMatchObject(name === "crash-chat" ? { text: "sum" } : ["sum", [10, 20, 30]]);
      // Every turn asks something else, so that the same request is the same call.
      const asked = new Map<string, number>();
      for (const { fingerprint } of stage.fake.calls) asked.set(fingerprint, (asked.get(fingerprint) ?? 0) + 1);
      const times = [...asked.values()];
      expect(times).toHaveLength(TURNS);
      expect(times.slice(0, recorded)).toEqual(Array(recorded).fill(1));
      // One call may have been under way.
      expect(stage.fake.calls.length).toBeLessThanOrEqual(TURNS + 1);
      const after = stage.fake.calls.filter(({ startedAtMs }) => startedAtMs > killedAtMs);
      expect(after.length).toBeLessThanOrEqual(TURNS - recorded);
      const open = await until(async () => {
        const rows = await stage.db.query<{ state: string }>("select state from longhaul.calls where run_id = $1", [
          run.runId,
        ]);
        return rows.every(({ state }) => state !== "open") && rows;
      });
      expect(open.filter(({ state }) => state === "succeeded")).toHaveLength(TURNS);
      if (!alive) break;
      kills += 1;
    }
    await (await victim).kill();
    expect(kills).toBeGreaterThan(1);
  }, 300_000);
});
