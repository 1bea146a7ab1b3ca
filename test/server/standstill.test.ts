// Runs that stop by themselves: paused ones, timed-out ones; what clients see of them.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { agent } from "../../src/agents/agent.ts";
import { connect } from "../../src/runtime/connect.ts";
import { serve } from "../../src/server/index.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { clientOf, collect, parseFrames, readAll, silent, until } from "./harness.ts";

let database: FreshDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

/** One agent in two versions: the second asks for another step than the first has recorded. */
const shifty = (step: string) =>
  agent({
    name: "shifty",
    async run(ctx) {
      await ctx.step(step, () => step);
      return { heard: await ctx.signal("go") };
    },
  });

const slow = agent({
  name: "slow",
  limits: { activeMinutes: 0.002 },
  async run(ctx) {
    await ctx.step(
      "wait",
      ({ abort }) => new Promise((_, reject) => abort.addEventListener("abort", () => reject(abort.reason))),
    );
  },
});

describe("a run that is paused", () => {
  test("ends streams and waits with the reason, and goes on for readers when it is released", async () => {
    const before = await connect({ url: database.url, agents: [shifty("a")] });
    const { threadId } = await before.createThread();
    const { runId } = await before.submit("shifty", null, { threadId });
    await until(async () => (await before.get(runId))?.status === "waiting");
    await before.close();

    const changed = await connect({ url: database.url, agents: [shifty("b")] });
    const broken = await serve({ longhaul: changed, port: 0, log: silent });
    await changed.signal(runId, "go", 1);
    await until(async () => (await changed.get(runId))?.status === "paused");
    const client = clientOf(broken);
    const parts = await collect(client.runs.joinStream(threadId, runId, { streamMode: "updates" }));
    expect(parts.map(({ event }) => event)).toEqual(["metadata", "updates", "error"]);
    expect(parts.at(-1)?.data).toMatchObject({ error: "RunPaused", message: expect.stringContaining("paused") });
    expect(await client.runs.join(threadId, runId)).toMatchObject({ __error__: { error: "RunPaused" } });
    expect((await client.runs.get(threadId, runId)).status).toBe("interrupted");
    expect((await client.threads.get(threadId)).status).toBe("interrupted");
    await broken.close();
    await changed.close();

    const mended = await connect({ url: database.url, agents: [shifty("a")] });
    const server = await serve({ longhaul: mended, port: 0, log: silent });
    await fetch(`${server.url}/admin/runs/${runId}/retry`, { method: "POST" });
    expect(await clientOf(server).runs.join(threadId, runId)).toEqual({ heard: 1 });
    const frames = parseFrames(await readAll(`${server.url}/runs/${runId}/stream?stream_mode=updates,values`));
    expect(frames.map(({ event }) => event)).toEqual(["metadata", "updates", "values"]);
    await server.close();
    await mended.close();
  });
});

describe("a run that uses up its time", () => {
  test("has LangGraph's status for it", async () => {
    const longhaul = await connect({ url: database.url, agents: [slow] });
    const server = await serve({ longhaul, port: 0, log: silent });
    const client = clientOf(server);
    const { thread_id: threadId } = await client.threads.create();
    const run = await client.runs.create(threadId, "slow");
    expect(await client.runs.join(threadId, run.run_id)).toMatchObject({
      __error__: { message: expect.stringContaining("running time") },
    });
    expect((await client.runs.get(threadId, run.run_id)).status).toBe("timeout");
    expect(await client.runs.list(threadId, { status: "timeout" })).toHaveLength(1);
    expect(await client.runs.list(threadId, { status: "error" })).toHaveLength(0);
    await server.close();
    await longhaul.close();
  });
});
