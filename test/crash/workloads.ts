// What is run at every crash point: small agents that together use every verb, and the outside world they talk to.
import { generateText, stepCountIs, tool } from "ai";
import { z } from "zod";
import { insideStep } from "../../src/engine/inside-step.ts";
import {
  type AnyAgent,
  agent,
  type ConnectOptions,
  type Ctx,
  type StepInfo,
  type StepOptions,
} from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { callModel } from "../support/calls.ts";
import { streaming } from "./streaming.ts";
import { modelStep } from "./witness.ts";

/** Told when a step's body starts; may hold it back. */
export type OnBody = (step: string) => Promise<void> | void;

export interface Workload {
  readonly name: string;
  /** The victim executes runs, or it submits them and somebody else executes them, or it does both. */
  readonly victim: "worker" | "client" | "both";
  /** Live functions of waiting runs are kept this long; 0: every continuation replays. */
  readonly warmMs: number;
  agents(onBody: OnBody): AnyAgent[];
  /** Where its agents' models are. */
  gateway?(onBody: OnBody): NonNullable<ConnectOptions["gateway"]>;
  /** Submits what is to be done, or what a client does to have it done. `acknowledged` is told of every submit that went through. */
  submit(longhaul: LonghaulProcess, acknowledged: (what: string, runId: string) => void): Promise<void>;
  /** Follows a run as a reader does who has been there from the start; gives what it saw that cannot be. */
  watch?(longhaul: LonghaulProcess, runId: string): Promise<string[]>;
  /** What the world does meanwhile; called again and again. */
  world?(longhaul: LonghaulProcess, told: Set<string>): Promise<void>;
}

type Body<T> = (info: StepInfo) => Promise<T> | T;
type Step = <T>(ctx: Ctx, name: string, options: StepOptions, body: Body<T>) => Promise<T>;

function witnessed(onBody: OnBody): Step {
  return (ctx, name, options, body) =>
    ctx.step(name, options, async (info) => {
      await onBody(info.idempotencyKey);
      return await body(info);
    });
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const LARGE = "x".repeat(70_000);

/** A workload of one agent, submitted once. */
function single(name: string, run: (step: Step, onBody: OnBody) => (ctx: Ctx) => Promise<unknown>): Workload {
  return {
    name,
    victim: "worker",
    warmMs: 5_000,
    agents: (onBody) => [agent({ name, run: run(witnessed(onBody), onBody) })],
    submit: async (longhaul, acknowledged) => {
      acknowledged(name, (await longhaul.submit(name, null)).runId);
    },
  };
}

const plain = single("plain", (step) => async (ctx) => {
  const id = ctx.uuid();
  const first = await step(ctx, "first", { input: id }, () => id);
  const second = await step(ctx, "second", {}, () => new Map([["at", new Date(0)]]));
  const third = await step(ctx, "third", {}, () => LARGE);
  return [first === id, second, third.length];
});

const parallel = single("parallel", (step) => async (ctx) => {
  const order: string[] = [];
  const timed = async (in_: Ctx, name: string, ms: number): Promise<string> => {
    await step(in_, name, {}, () => pause(ms));
    order.push(name);
    return name;
  };
  const all = await Promise.all([timed(ctx, "a", 9), timed(ctx, "b", 1), timed(ctx, "c", 5)]);
  const { winner } = await ctx.race({ quick: (c) => timed(c, "quick", 2), slow: (c) => timed(c, "slow", 40) });
  const mapped = await ctx.map("items", [3, 1, 2], (c, item) => timed(c, `item ${item}`, item));
  // In which order things ended is part of the input: a replay that gave another order would be a mismatch.
  await step(ctx, "seal", { input: [order.filter((name) => name !== "slow"), winner] }, () => null);
  return [all, mapped];
});

const children: Workload = {
  name: "children",
  victim: "worker",
  warmMs: 5_000,
  agents: (onBody) => {
    const step = witnessed(onBody);
    const leaf = agent({
      name: "leaf",
      run: (ctx, n) => step(ctx, "double", {}, () => (n as number) * 2),
    });
    const late = agent({
      name: "late",
      run: async (ctx) => {
        await ctx.sleep(300);
        return await step(ctx, "late", {}, () => "late");
      },
    });
    const parent = agent({
      name: "parent",
      async run(ctx) {
        await ctx.spawn(late, null);
        await ctx.spawn(leaf, 7);
        const all = await ctx.map("leaves", [1, 2, 3], leaf);
        const one = await (await ctx.spawn(leaf, 5)).result();
        return await step(ctx, "sum", { input: [all, one] }, () => all.reduce((a, b) => a + b, one));
      },
    });
    return [parent, leaf, late];
  },
  submit: async (longhaul, acknowledged) => acknowledged("parent", (await longhaul.submit("parent", null)).runId),
};

const waits = (name: string, warmMs: number): Workload => ({
  ...single(name, (step) => async (ctx) => {
    await step(ctx, "before", {}, () => null);
    const signal = await ctx.signal("go");
    const never = await ctx.signal("never", { timeout: 20 });
    const verdict = await ctx.approval("publish", { draft: 1 }, { expires: "1 hour" });
    await step(ctx, "between", { input: [signal, never, verdict] }, () => null);
    const answer = await ctx.interrupt("sure?");
    await ctx.sleep(300);
    return await step(ctx, "after", {}, () => [signal, never, verdict.approved, verdict.args, answer]);
  }),
  warmMs,
  world: async (longhaul, told) => {
    for (const { approvalId, kind } of await longhaul.approvals({ status: "pending" })) {
      if (kind === "approval") await longhaul.approve(approvalId, { by: "ann", args: { draft: 2 } });
      else await longhaul.resume(approvalId, { yes: true }, "bob");
    }
    for (const { runId } of await longhaul.list({ agent: name, status: ["running", "waiting"] })) {
      if (told.has(runId)) continue;
      told.add(runId);
      await longhaul.signal(runId, "go", { early: "or late" });
    }
  },
});

const checkpoint = single("checkpoint", (step) => async (ctx) => {
  let state = ctx.restored<{ turn: number; sum: number }>() ?? { turn: 0, sum: 0 };
  while (state.turn < 3) {
    const { turn } = state;
    const value = await step(ctx, "turn", { input: turn }, () => turn + 1);
    state = { turn: turn + 1, sum: state.sum + value };
    await ctx.checkpoint(state);
  }
  return await step(ctx, "end", {}, () => state);
});

const retry = single("retry", (step) => async (ctx) => {
  const failing =
    (times: number): Body<number> =>
    ({ attempt }) => {
      if (attempt <= times) throw new Error(`attempt ${attempt}`);
      return attempt;
    };
  const quick = { maxAttempts: 4, initialMs: 20, factor: 1, jitter: 0 };
  const third = await step(ctx, "flaky", { retry: quick }, failing(2));
  const second = await step(ctx, "slow", { retry: { maxAttempts: 2, initialMs: 350, jitter: 0 } }, failing(1));
  const gaveUp = await step(ctx, "hopeless", { retry: { ...quick, maxAttempts: 2 } }, failing(9)).catch(
    (error: Error) => error.message,
  );
  return [third, second, gaveUp];
});

const transaction = single("transaction", (step, onBody) => async (ctx) => {
  const tally = (name: string): Promise<number> =>
    ctx.transaction(name, async (sql) => {
      await onBody(`${ctx.runId}/${name}#1`);
      await sql.query("insert into tallies (run_id, step) values ($1, $2)", [ctx.runId, name]);
      const [row] = await sql.query<{ n: number }>("select count(*)::int as n from tallies where run_id = $1", [
        ctx.runId,
      ]);
      return row?.n ?? 0;
    });
  const first = await tally("one");
  await step(ctx, "between", {}, () => null);
  return [first, await tally("two")];
});

const thread: Workload = {
  ...single("thread", (step) => async (ctx) => {
    const before = ctx.state.get<number>() ?? 0;
    await step(ctx, "think", { input: before }, () => null);
    await ctx.state.set(before + 1);
    ctx.emit("said", before);
    return await step(ctx, "say", {}, () => before + 1);
  }),
  submit: async (longhaul, acknowledged) => {
    const { threadId } = await longhaul.createThread();
    for (const turn of ["first", "second"])
      acknowledged(turn, (await longhaul.submit("thread", turn, { threadId })).runId);
  },
};

const cancel: Workload = {
  name: "cancel",
  victim: "worker",
  warmMs: 5_000,
  agents: (onBody) => {
    const step = witnessed(onBody);
    const stuck = ({ abort }: StepInfo): Promise<never> =>
      new Promise((_, reject) => abort.addEventListener("abort", () => reject(abort.reason)));
    const child = agent({ name: "stuck-child", run: (ctx) => step(ctx, "stuck", {}, stuck) });
    const parent = agent({
      name: "cancel",
      async run(ctx) {
        await ctx.spawn(child, null);
        const sleeping = await ctx.spawn(agent({ name: "waiting-child", run: (c) => c.signal("never") }), null);
        await Promise.all([step(ctx, "stuck", {}, stuck), sleeping.result()]);
      },
    });
    return [parent, child, agent({ name: "waiting-child", run: (ctx) => ctx.signal("never") })];
  },
  submit: async (longhaul, acknowledged) => acknowledged("cancel", (await longhaul.submit("cancel", null)).runId),
  world: async (longhaul, told) => {
    const [child] = await longhaul.list({ agent: "waiting-child", status: "waiting" });
    if (child?.parentId == null || told.has(child.parentId)) return;
    told.add(child.parentId);
    await longhaul.cancel(child.parentId, "enough");
  },
};

/** Runs that wait for each other before gates: an agent's limit, keys of their own, and children behind the same limit. */
const queue: Workload = {
  name: "queue",
  victim: "worker",
  warmMs: 5_000,
  agents: (onBody) => {
    const step = witnessed(onBody);
    const narrow = agent({
      name: "narrow",
      concurrency: { limit: 2, perKey: 1 },
      band: "interactive",
      async run(ctx, n) {
        await step(ctx, "first", {}, () => n);
        if (n === 1) await ctx.sleep(20);
        if (n === 2) throw new Error("a letter that nobody reads");
        return await step(ctx, "second", {}, () => n);
      },
    });
    const wide = agent({
      name: "wide",
      async run(ctx) {
        const children = [3, 4, 5].map((n) => ctx.spawn(narrow, n, { concurrencyKey: n === 5 ? "k" : "l" }));
        for (const child of await Promise.all(children)) await child.result();
      },
    });
    return [narrow, wide];
  },
  submit: async (longhaul, acknowledged) => {
    for (const n of [0, 1, 2]) {
      const options = { ...(n < 2 ? { concurrencyKey: "k" } : {}), startWithin: "1 hour" };
      acknowledged(`narrow ${n}`, (await longhaul.submit("narrow", n, options)).runId);
    }
    acknowledged("wide", (await longhaul.submit("wide", null)).runId);
  },
};

/** A tool loop under a budget: each call of the model goes through the whole gateway, and is paid for. */
const models: Workload = {
  name: "models",
  victim: "worker",
  warmMs: 5_000,
  agents: (onBody) => {
    const counter = agent({
      name: "counter",
      // Room for calls whose end nobody saw: they are charged at their estimates.
      budget: { usd: 1, outputTokens: 50_000, steps: 50 },
      async run(ctx) {
        const add = tool({
          inputSchema: z.object({ to: z.number() }),
          execute: async ({ to }) => {
            await onBody(`${ctx.runId}/${insideStep.getStore()?.key}`);
            return to + 1;
          },
        });
        const { text } = await generateText({
          model: ctx.model("own/counter"),
          tools: ctx.tools({ add }),
          prompt: ctx.runId,
          stopWhen: stepCountIs(6),
          ...ctx.ai,
        });
        return text;
      },
    });
    return [counter];
  },
  gateway: (onBody) => ({
    providers: { own: { model: () => countingModel(onBody), limits: { "*": { rpm: 100_000, concurrent: 20 } } } },
    prices: { "own/*": { inputPerMillionUsd: 1, outputPerMillionUsd: 10 } },
  }),
  submit: async (longhaul, acknowledged) => acknowledged("counter", (await longhaul.submit("counter", null)).runId),
};

/** Asks for one more addition, twice; then says the sum. The prompt is the run's id. */
function countingModel(onBody: OnBody): unknown {
  type Message = { readonly role: string; readonly content: readonly { readonly text?: string }[] };
  const usage = {
    inputTokens: { total: 100, noCache: 100, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 10, text: 10, reasoning: 0 },
  };
  const answer = async ({ prompt }: { readonly prompt: readonly Message[] }) => {
    const question = prompt.find(({ role }) => role === "user");
    const rounds = prompt.filter(({ role }) => role === "tool").length;
    await onBody(modelStep(question?.content[0]?.text ?? "", rounds + 1));
    const call = { type: "tool-call", toolCallId: `call-${rounds}`, toolName: "add", input: `{"to":${rounds}}` };
    const content = rounds < 2 ? [call] : [{ type: "text", text: `counted to ${rounds}` }];
    const unified = rounds < 2 ? "tool-calls" : "stop";
    return { content, usage, finishReason: { unified, raw: unified }, warnings: [] };
  };
  const doStream = (): never => {
    throw new Error("nobody asks for a stream");
  };
  const names = { specificationVersion: "v3", provider: "own", modelId: "counter", supportedUrls: {} };
  return { ...names, doGenerate: answer, doStream };
}

/** Money: calls that fail first, children on one budget, steps that count, and a person who is asked for more. */
const spending: Workload = {
  name: "spending",
  victim: "worker",
  warmMs: 5_000,
  agents: (onBody) => {
    const step = witnessed(onBody);
    const call = (ctx: Ctx, name: string, failures = 0): Promise<number> =>
      callModel(ctx, name, {
        estimate: { input: 100, usd: 0.4 },
        actual: { input: 90, usd: 0.3 },
        failures,
        send: async (attempt) => {
          if (attempt === 1) await onBody(`${ctx.runId}/${name}#1`);
        },
      });
    const child = agent({ name: "buyer", run: (ctx) => call(ctx, "buy") });
    const parent = agent({
      name: "spending",
      budget: { usd: 1, steps: 1_000, onExceeded: "ask" },
      async run(ctx) {
        ctx.partial("begun");
        const first = await call(ctx, "first", 1);
        const bought = await ctx.map("children", [1, 2], child);
        const second = await call(ctx, "second");
        return await step(ctx, "end", {}, () => [first, bought, second]);
      },
    });
    const broke = agent({
      name: "broke",
      budget: { usd: 0.2 },
      async run(ctx) {
        ctx.partial("nothing");
        await call(ctx, "dear");
      },
    });
    return [parent, child, broke];
  },
  submit: async (longhaul, acknowledged) => {
    acknowledged("spending", (await longhaul.submit("spending", null)).runId);
    acknowledged("broke", (await longhaul.submit("broke", null)).runId);
  },
  world: async (longhaul) => {
    for (const { approvalId } of await longhaul.approvals({ status: "pending" })) {
      await longhaul.approve(approvalId, { by: "ann", args: { raiseBy: 1 } }).catch((error) => {
        // Another answer has raised the budget for this one too.
        if (error.code !== "APPROVAL_TAKEN" && error.code !== "APPROVAL_GONE") throw error;
      });
    }
  },
};

/** The victim is the client: it submits in every way there is, again until it knows that it went through, and answers a question. */
const client: Workload = {
  name: "client",
  victim: "client",
  warmMs: 5_000,
  agents: (onBody) => {
    const step = witnessed(onBody);
    const asker = agent({ name: "asker", run: async (ctx) => (await ctx.approval("ok", null)).approved });
    return [agent({ name: "echo", run: (ctx, input) => step(ctx, "echo", {}, () => input) }), asker];
  },
  submit: async (longhaul, acknowledged) => {
    const runId = "0190a000-0000-7000-8000-000000000001";
    const threadId = "0190a000-0000-7000-8000-000000000002";
    const submits = {
      key: () => longhaul.submit("echo", "key", { idempotencyKey: "once" }),
      id: () => longhaul.submit("echo", "id", { runId }),
      large: () => longhaul.submit("echo", LARGE, { idempotencyKey: "large" }),
      thread: () => longhaul.submit("echo", "thread", { idempotencyKey: "thread", threadId }),
      ask: () => longhaul.submit("asker", null, { idempotencyKey: "ask" }),
    };
    for (const [what, submit] of Object.entries(submits)) acknowledged(what, (await insistently(submit)).runId);
    await insistently(async () => {
      for (;;) {
        const [question] = await longhaul.approvals();
        if (question !== undefined && question.status !== "pending") return;
        if (question !== undefined) await longhaul.approve(question.approvalId, { by: "ann" });
        await pause(100);
      }
    });
  },
};

/** The victim is a client with a worker of its own: one statement stores a run and claims it. */
const alone: Workload = {
  name: "alone",
  victim: "both",
  warmMs: 5_000,
  agents: (onBody) => [agent({ name: "echo", run: (ctx, input) => witnessed(onBody)(ctx, "echo", {}, () => input) })],
  submit: async (longhaul, acknowledged) => {
    const threadId = "0190a000-0000-7000-8000-000000000002";
    for (const key of ["first", "second", "third"]) {
      const run = await insistently(() => longhaul.submit("echo", key, { idempotencyKey: key, threadId }));
      acknowledged(key, run.runId);
      // The worker has nothing else to do when the next one comes.
      await insistently(() => run.result());
      await pause(50);
    }
  },
};

/** Again and again, as long as the database cannot be reached: what a client or a supervisor does. */
export async function insistently<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const { code } = error as { code?: string };
      if (code !== "DATABASE_UNAVAILABLE") throw error;
      await pause(20);
    }
  }
}

export const WORKLOADS: readonly Workload[] = [
  plain,
  parallel,
  children,
  waits("waits", 5_000),
  waits("waits-cold", 0),
  checkpoint,
  retry,
  transaction,
  thread,
  cancel,
  queue,
  models,
  streaming,
  spending,
  client,
  alone,
];

export function workloadNamed(name: string): Workload {
  const workload = WORKLOADS.find((w) => w.name === name);
  if (workload === undefined)
    throw new Error(`no workload ${name}: there are ${WORKLOADS.map((w) => w.name).join(", ")}`);
  return workload;
}
