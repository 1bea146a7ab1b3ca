// When the connection is lost under a statement nobody knows whether it took effect: the worker looks, and neither repeats nor skips.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { agent, type Ctx } from "../../src/index.ts";
import { DatabaseProxy } from "../crash/proxy.ts";
import { gate, journalOf, useStage } from "../support/longhaul.ts";

const stage = useStage();
let proxy: DatabaseProxy;
beforeEach(async () => {
  proxy = await DatabaseProxy.start(stage.url);
});
afterEach(() => proxy.close());

/** Loses the connection once, under the nth statement of this name; resolves to how often it did. */
function cutOnce(statement: string, nth: number, side: "before" | "after"): () => number {
  let seen = 0;
  let cuts = 0;
  const decide = (label: string) => {
    if (label !== statement || ++seen !== nth) return "pass";
    cuts += 1;
    return "cut";
  };
  proxy.decider = {
    onRequest: ({ label }) => (side === "before" ? decide(label) : "pass"),
    onAnswer: ({ label }) => (side === "after" ? decide(label) : "pass"),
  };
  return () => cuts;
}

const kindsOf = async (runId: string): Promise<number[]> => (await journalOf(stage.db, runId)).map(({ kind }) => kind);

async function runCut(
  run: (ctx: Ctx, bodies: string[]) => Promise<unknown>,
): Promise<{ output: unknown; bodies: string[]; kinds: number[] }> {
  const bodies: string[] = [];
  const cut = agent({ name: "cut", run: (ctx) => run(ctx, bodies) });
  const longhaul = await stage.worker([cut], { warmMs: 0 }, { url: proxy.url });
  const handle = await longhaul.submit(cut, null);
  const output = await handle.result({ timeoutMs: 20_000 });
  return { output, bodies, kinds: await kindsOf(handle.runId) };
}

const twoSteps = async (ctx: Ctx, bodies: string[]): Promise<unknown> => {
  const first = await ctx.step("first", () => bodies.push("first"));
  return [first, await ctx.step("second", () => bodies.push("second"))];
};

describe.each(["before", "after"] as const)("lost %s the server has answered", (side) => {
  test("a record is stored once, and its body does not run again (7, 8)", async () => {
    const cuts = cutOnce("lh_append", 1, side);
    const { output, bodies, kinds } = await runCut(twoSteps);
    expect({ output, bodies, cuts: cuts() }).toEqual({ output: [1, 2], bodies: ["first", "second"], cuts: 1 });
    expect(kinds).toEqual([KIND.claimed, KIND.step, KIND.step, KIND.finished]);
  });

  test("a run ends once, with the outcome it had (16)", async () => {
    const cuts = cutOnce("lh_settle", 1, side);
    const { output, bodies, kinds } = await runCut(twoSteps);
    expect({ output, bodies, cuts: cuts() }).toEqual({ output: [1, 2], bodies: ["first", "second"], cuts: 1 });
    expect(kinds).toEqual([KIND.claimed, KIND.step, KIND.step, KIND.finished]);
  });

  test("a run that goes to sleep wakes again, and sleeps once", async () => {
    const cuts = cutOnce("lh_settle", 1, side);
    const { output, kinds } = await runCut(async (ctx) => {
      await ctx.sleep(400);
      return await ctx.step("after", () => "slept");
    });
    expect({ output, cuts: cuts() }).toEqual({ output: "slept", cuts: 1 });
    expect(kinds).toEqual([
      KIND.claimed,
      KIND.wait,
      KIND.released,
      KIND.claimed,
      KIND.received,
      KIND.step,
      KIND.finished,
    ]);
  });
});

test("a run that its worker claims anew before it knows that it had let it go, goes on", async () => {
  const listener = agent({ name: "listener", run: (ctx) => ctx.signal("go") });
  const client = await stage.client([listener]);
  const claimed = gate();
  let cuts = 0;
  proxy.decider = {
    onRequest: ({ label }) => {
      if (label === "lh_replay") claimed.open();
      return "pass";
    },
    onAnswer: async ({ label }) => {
      if (label === "lh_settle" && cuts++ === 0) return "cut";
      if (!label.startsWith("select run_id, epoch, worker_id")) return "pass";
      // It learns that it had let the run go only after it has claimed it anew.
      const [run] = await client.list({ agent: "listener" });
      await client.signal(run?.runId ?? "", "go", "now");
      await claimed.opened;
      return "pass";
    },
  };
  const longhaul = await stage.worker([listener], {}, { url: proxy.url });
  const handle = await longhaul.submit(listener, null);
  expect(await handle.result({ timeoutMs: 5_000 })).toBe("now");
});

test("an approval that expired stays expired for whoever takes the run over", async () => {
  const asker = agent({
    name: "asker",
    async run(ctx) {
      const { status } = await ctx.approval("ok", null, { expires: 1 });
      await ctx.step("hold", { input: status }, () => (executions++ === 0 ? stage.takeOver(ctx.runId) : undefined));
      return status;
    },
  });
  let executions = 0;
  const longhaul = await stage.worker([asker]);
  expect(await longhaul.run(asker, null)).toBe("expired");
  expect(executions).toBe(2);
});
