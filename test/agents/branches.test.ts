// Branches of one run: scopes of their own, keys that count, winners that are kept, and what may not be done.
import { describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { agent, type Ctx } from "../../src/index.ts";
import { gate, journalOf, rejection, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

/** Runs an agent once, on a worker of its own, and gives its output, or throws what the run failed with. */
async function outcome(
  run: (ctx: Ctx) => unknown,
): Promise<{ runId: string; output: unknown; keys: (string | null)[] }> {
  const longhaul = await stage.worker([agent({ name: "tried", run })]);
  try {
    const handle = await longhaul.submit("tried", null);
    const output = await handle.result();
    const entries = await journalOf(stage.db, handle.runId);
    return {
      runId: handle.runId,
      output,
      keys: entries.filter((entry) => entry.kind === KIND.step).map((entry) => entry.key),
    };
  } finally {
    await longhaul.close();
  }
}

async function failure(run: (ctx: Ctx) => unknown): Promise<unknown> {
  return (await rejection(outcome(run))).cause;
}

test("steps of one name are told apart by how often it came up", async () => {
  const { keys } = await outcome(async (ctx) => {
    for (let i = 0; i < 3; i++) await ctx.step("page", () => i);
    await ctx.step("other", () => 0);
  });
  expect(keys).toEqual(["page#1", "page#2", "page#3", "other#1"]);
});

test("names that look like keys do not meet", async () => {
  const { keys } = await outcome(async (ctx) => {
    for (const name of ["a#1", "a/b", "all#1.a/b", "@1/a", "100%", "%23"]) await ctx.step(name, () => name);
    await ctx.all({ "a/b": (c) => c.step("s", () => 1), "a.b": (c) => c.step("s", () => 2) });
  });
  expect(new Set(keys).size).toBe(8);
});

test("ctx.all gives each branch a scope, and the values by name", async () => {
  const { output, keys } = await outcome((ctx) =>
    ctx.all({
      left: async (c) => [await c.step("s", () => 1), await c.step("s", () => 2)],
      right: (c) => c.step("s", () => 3),
    }),
  );
  expect(output).toEqual({ left: [1, 2], right: 3 });
  expect([...keys].sort()).toEqual(["all#1.left/s#1", "all#1.left/s#2", "all#1.right/s#1"]);
});

test("ctx.all fails with the first branch that fails, and the others go no further", async () => {
  const bodies: string[] = [];
  const hold = gate();
  const cause = await failure((ctx) =>
    ctx.all({
      bad: (c) =>
        c.step("boom", { retry: false }, async () => {
          await until(() => bodies.length > 0);
          throw new Error("boom");
        }),
      slow: async (c) => {
        await c.step("first", async ({ abort }) => {
          bodies.push("first");
          abort.addEventListener("abort", () => hold.open());
          await hold.opened;
        });
        await c.step("second", () => bodies.push("second"));
      },
    }),
  );
  expect(cause).toMatchObject({ message: "boom" });
  expect(bodies).toEqual(["first"]);
});

test("ctx.map over a function keeps the order of the items and the bound on how many run at once", async () => {
  let running = 0;
  let most = 0;
  const { output, keys } = await outcome((ctx) =>
    ctx.map(
      "double",
      [1, 2, 3, 4, 5, 6, 7],
      (c, item, index) =>
        c.step("work", async () => {
          running += 1;
          most = Math.max(most, running);
          await new Promise((resolve) => setTimeout(resolve, 5 * (7 - index)));
          running -= 1;
          return item * 2;
        }),
      { concurrency: 3 },
    ),
  );
  expect(output).toEqual([2, 4, 6, 8, 10, 12, 14]);
  expect(most).toBe(3);
  expect([...keys].sort()).toEqual(Array.from({ length: 7 }, (_, i) => `double#1[${i}]/work#1`));
});

test("a concurrency of nothing is refused", async () => {
  expect(await failure((ctx) => ctx.map("m", [1, 2], () => 1, { concurrency: 0 }))).toMatchObject({
    code: "CONCURRENCY_INVALID",
  });
});

test("an empty map and an empty all give nothing, an empty race is refused", async () => {
  const { output } = await outcome(async (ctx) => [await ctx.map("m", [], () => 1), await ctx.all({})]);
  expect(output).toEqual([[], {}]);
  expect(await failure((ctx) => ctx.race({} as Record<string, () => number>))).toMatchObject({ code: "RACE_EMPTY" });
});

describe("ctx.race", () => {
  test("names the winner; the loser's step hears the signal and the loser goes no further", async () => {
    const heard: string[] = [];
    let more = 0;
    const { output } = await outcome((ctx) =>
      ctx.race({
        quick: (c) => c.step("q", () => until(() => heard.length > 0).then(() => "q")),
        slow: async (c) => {
          await c.step("s", ({ abort }) => {
            abort.addEventListener("abort", () => heard.push("abort"));
            heard.push("started");
            return new Promise((resolve) => abort.addEventListener("abort", resolve));
          });
          more += 1;
        },
      }),
    );
    expect(output).toEqual({ winner: "quick", value: "q" });
    expect(heard).toEqual(["started", "abort"]);
    expect(more).toBe(0);
  });

  test("a failing branch that settles first is the outcome", async () => {
    const cause = await failure((ctx) =>
      ctx.race({
        bad: (c) =>
          c.step("b", { retry: false }, () => {
            throw new Error("first");
          }),
        never: (c) => c.signal("never"),
      }),
    );
    expect(cause).toMatchObject({ message: "first" });
  });

  test("the winner is kept when the loser ended before the takeover", async () => {
    const winners: string[] = [];
    const slow = gate();
    const hold = gate();
    const racer = agent({
      name: "racer",
      async run(ctx) {
        const { winner } = await ctx.race({
          slow: (c) => c.step("s", () => slow.opened),
          fast: (c) => c.step("f", () => undefined),
        });
        winners.push(winner);
        await ctx.step("hold", () => hold.opened);
        return winner;
      },
    });
    const longhaul = await stage.worker([racer]);
    const handle = await longhaul.submit(racer, null);
    await until(() => winners.length === 1);
    slow.open();
    await until(async () => (await journalOf(stage.db, handle.runId)).some((entry) => entry.key === "race#1.slow/s#1"));
    await stage.takeOver(handle.runId);
    await until(() => winners.length === 2);
    hold.open();
    expect(await handle.result()).toBe("fast");
    expect(winners).toEqual(["fast", "fast"]);
  });
});

describe("what a replay could not tell apart is refused", () => {
  test("two steps of one name at the same time, asked for in different turns (DUPLICATE_STEP)", async () => {
    const hold = gate();
    const cause = await failure(async (ctx) => {
      const first = ctx.step("same", () => hold.opened);
      await new Promise((resolve) => setTimeout(resolve, 5));
      try {
        await ctx.step("same", () => 2);
      } finally {
        hold.open();
        await first;
      }
    });
    expect(cause).toMatchObject({ code: "DUPLICATE_STEP" });
  });

  test("two steps of one name asked for in one turn are fine", async () => {
    const { output, keys } = await outcome((ctx) => Promise.all([1, 2].map((n) => ctx.step("same", () => n))));
    expect(output).toEqual([1, 2]);
    expect([...keys].sort()).toEqual(["same#1", "same#2"]);
  });

  const verbs: Record<string, (ctx: Ctx) => unknown> = {
    step: (ctx) => ctx.step("inner", () => 1),
    sleep: (ctx) => ctx.sleep(1),
    sleepUntil: (ctx) => ctx.sleepUntil(0),
    signal: (ctx) => ctx.signal("s"),
    approval: (ctx) => ctx.approval("a", 1),
    interrupt: (ctx) => ctx.interrupt(1),
    spawn: (ctx) => ctx.spawn("tried", 1),
    map: (ctx) => ctx.map("m", [1], () => 1),
    all: (ctx) => ctx.all({ a: () => 1 }),
    race: (ctx) => ctx.race({ a: () => 1 }),
    checkpoint: (ctx) => ctx.checkpoint(1),
    transaction: (ctx) => ctx.transaction("t", () => 1),
    "state.set": (ctx) => ctx.state.set(1),
  };
  test.each(Object.keys(verbs))("ctx.%s inside the body of a step (NESTED_STEP)", async (verb) => {
    const cause = await failure((ctx) =>
      ctx.step("outer", { retry: false }, () => verbs[verb]?.(ctx) as Promise<unknown>),
    );
    expect(cause).toMatchObject({ code: "NESTED_STEP", message: expect.stringContaining(`ctx.${verb}`) });
  });
});

test("now, random, uuid and emit are allowed inside a step's body", async () => {
  const { output, runId } = await outcome((ctx) =>
    ctx.step("inside", () => {
      ctx.emit("thought", { n: 1 });
      return [typeof ctx.now(), typeof ctx.random(), typeof ctx.uuid()];
    }),
  );
  expect(output).toEqual(["number", "number", "string"]);
  const kinds = (await journalOf(stage.db, runId)).map((entry) => entry.kind);
  expect(kinds).not.toContain(KIND.value);
  expect(kinds).toContain(KIND.emit);
});

test("a branch that waits for nothing wins against a recorded step at every execution", async () => {
  const winners: string[] = [];
  const hold = gate();
  const racer = agent({
    name: "racer",
    async run(ctx) {
      const { winner } = await ctx.race({
        recorded: (c) => c.step("recorded", () => 1),
        computed: async () => {
          for (let i = 0; i < 1_000; i++) await undefined;
        },
      });
      winners.push(winner);
      await ctx.step("hold", () => hold.opened);
      return winner;
    },
  });
  const longhaul = await stage.worker([racer]);
  const handle = await longhaul.submit(racer, null);
  await until(async () => (await journalOf(stage.db, handle.runId)).some((entry) => entry.key?.endsWith("recorded#1")));
  await stage.takeOver(handle.runId);
  await until(() => winners.length === 2);
  hold.open();
  expect(await handle.result()).toBe("computed");
  expect(winners).toEqual(["computed", "computed"]);
});

test("a run whose race left a step behind can still sleep and checkpoint when that step has ended", async () => {
  const slow = gate();
  const racer = agent({
    name: "racer",
    async run(ctx) {
      ctx.restored();
      await ctx.race({ slow: (c) => c.step("slow", () => slow.opened), quick: (c) => c.step("quick", () => 1) });
      await ctx.step("open", () => slow.open());
      await ctx.sleep(300);
      await ctx.checkpoint("after the race");
      return ctx.signal("go");
    },
  });
  const longhaul = await stage.worker([racer]);
  const handle = await longhaul.submit(racer, null);
  await untilStatus(longhaul, handle.runId, "waiting");
  await longhaul.signal(handle.runId, "go", "gone");
  expect(await handle.result()).toBe("gone");
});

test("code of a branch that has lost hears nothing any more, whatever it was waiting for", async () => {
  const heard: string[] = [];
  const hold = gate();
  const leaf = agent({ name: "leaf", run: () => 1 });
  const racer = agent({
    name: "racer",
    async run(ctx) {
      const branches: Record<string, (c: Ctx) => Promise<unknown>> = {
        fails: (c) => c.step("fails", { retry: false }, () => hold.opened.then(() => Promise.reject(new Error("no")))),
        sql: (c) => c.transaction("sql", () => hold.opened),
        state: (c) => hold.opened.then(() => c.state.set(1)),
        spawn: (c) => c.spawn(leaf, 1),
        works: (c) => c.step("works", () => hold.opened),
      };
      const losers = Object.entries(branches).map(([name, branch]) => {
        const followed = (c: Ctx) => branch(c).finally(() => heard.push(name));
        return [name, followed] as const;
      });
      await ctx.race({ ...Object.fromEntries(losers), winner: () => Promise.resolve() });
      hold.open();
      await ctx.sleep(300);
      return [...heard];
    },
  });
  const longhaul = await stage.worker([racer, leaf]);
  expect(await longhaul.run(racer, null)).toEqual([]);
});
