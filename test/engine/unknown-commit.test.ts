// When the connection is lost under a statement nobody knows whether it took effect: the worker looks, and neither repeats nor skips.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { agent, type Ctx } from "../../src/index.ts";
import { DatabaseProxy } from "../crash/proxy.ts";
import { journalOf, useStage } from "../support/longhaul.ts";

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
