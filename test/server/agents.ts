// Agents for the server's tests: each shows one thing, and those that must not finish too early wait at a gate.
import { z } from "zod";
import { agent } from "../../src/agents/agent.ts";

const gates = new Map<string, { readonly promise: Promise<void>; readonly open: () => void }>();

/** A door that stays closed until the test opens it. */
export function gate(name: string): { readonly promise: Promise<void>; readonly open: () => void } {
  let found = gates.get(name);
  if (found === undefined) {
    let open = (): void => undefined;
    const promise = new Promise<void>((resolve) => {
      open = resolve;
    });
    found = { promise, open };
    gates.set(name, found);
  }
  return found;
}

export const echo = agent({
  name: "echo",
  description: "Gives back what it got",
  run: (_ctx, input) => ({ echo: input }),
});

export const strict = agent({
  name: "strict",
  input: z.object({ question: z.string() }),
  run: (_ctx, { question }) => ({ answer: question.toUpperCase() }),
});

/** Steps `s0` … with an emitted event after each; waits at gate `gate:i` before step i where one is asked for. */
export const stepper = agent({
  name: "stepper",
  input: z.object({ steps: z.number(), gate: z.string().optional(), gates: z.array(z.number()).default([]) }),
  async run(ctx, { steps, gate: door, gates: closed }) {
    for (let i = 0; i < steps; i++) {
      await ctx.step(`s${i}`, async () => {
        if (closed.includes(i)) await gate(`${door}:${i}`).promise;
        return i;
      });
      ctx.emit("progress", { done: i });
    }
    return { steps };
  },
});

export const stateful = agent({
  name: "stateful",
  async run(ctx, input) {
    const before = ctx.state.get<{ messages: unknown[] }>() ?? { messages: [] };
    const after = { messages: [...before.messages, input] };
    await ctx.state.set(after);
    return after;
  },
});

export const asker = agent({
  name: "asker",
  async run(ctx, input) {
    const first = await ctx.interrupt({ question: "name?", input });
    const second = await ctx.interrupt({ question: "age?", name: first });
    return { first, second };
  },
});

export const twoAtOnce = agent({
  name: "two-at-once",
  async run(ctx) {
    return ctx.all({
      left: (c) => c.interrupt("left?"),
      right: (c) => c.interrupt("right?"),
    });
  },
});

export const publisher = agent({
  name: "publisher",
  async run(ctx, input) {
    const verdict = await ctx.approval("publish", input);
    return { approved: verdict.approved, args: verdict.args, comment: verdict.comment, by: verdict.by };
  },
});

export const failing = agent({
  name: "failing",
  async run(ctx) {
    await ctx.step("boom", { retry: false }, () => {
      throw new RangeError("no such page");
    });
  },
});

export const odd = agent({
  name: "odd",
  run: () => ({
    at: new Date(0),
    big: 10n,
    map: new Map([["a", 1]]),
    bytes: new Uint8Array([1, 2, 3]),
    half: "\ud800",
    error: new Error("kept"),
    forged: "x\n\nevent: error\ndata: {}\n\n",
  }),
});

export const speaker = agent({ name: "speaker", run: () => "just text" });

export const sleeper = agent({
  name: "sleeper",
  async run(ctx) {
    await ctx.sleep("1 hour");
    return {};
  },
});

export const listener = agent({
  name: "listener",
  async run(ctx) {
    return { heard: await ctx.signal("news") };
  },
});

/** Big entries, for readers that do not read. */
export const chatter = agent({
  name: "chatter",
  input: z.object({ entries: z.number(), bytes: z.number() }),
  async run(ctx, { entries, bytes }) {
    for (let i = 0; i < entries; i++) await ctx.step(`c${i}`, () => `${i}:${"x".repeat(bytes)}`);
    return { entries };
  },
});

/** Says words one by one, and waits at gate `gate:i` before word i where one is asked for; its first `fails` attempts break off at the end. */
export const teller = agent({
  name: "teller",
  input: z.object({
    words: z.array(z.string()),
    gate: z.string().optional(),
    gates: z.array(z.number()).default([]),
    fails: z.number().default(0),
  }),
  async run(ctx, { words, gate: door, gates: closed, fails }) {
    const text = await ctx.step("tell", { retry: { initialMs: 1 } }, async ({ stream, attempt }) => {
      const said = words.map((word) => (attempt <= fails ? word.toUpperCase() : word));
      for (const [i, word] of said.entries()) {
        if (closed.includes(i)) await gate(`${door}:${i}`).promise;
        stream.write(word);
      }
      if (closed.includes(words.length)) await gate(`${door}:${words.length}`).promise;
      if (attempt <= fails) throw new Error("broke off");
      return said.join("");
    });
    return { messages: [{ type: "ai", id: `${ctx.runId}:tell#1`, content: text }] };
  },
});

/** Says what a language model says that thinks and calls a tool. */
export const thinker = agent({
  name: "thinker",
  run: (ctx) =>
    ctx.step("think", ({ stream }) => {
      stream.write({ type: "reasoning-delta", id: "r", delta: "Hmm. " });
      stream.write({ type: "reasoning-delta", id: "r", delta: "A lookup." });
      stream.write({ type: "text-start", id: "0" });
      stream.write({ type: "text-delta", id: "0", delta: "Let me " });
      stream.write({ type: "text-delta", id: "0", delta: "look." });
      stream.write({ type: "tool-input-start", id: "call-1", toolName: "search" });
      stream.write({ type: "tool-input-delta", id: "call-1", delta: '{"query":' });
      stream.write({ type: "tool-input-delta", id: "call-1", delta: '"ships"}' });
      const call = { type: "tool-call", toolCallId: "call-1", toolName: "search", input: '{"query":"ships"}' } as const;
      stream.write(call);
      return {
        content: [{ type: "reasoning", text: "Hmm. A lookup." }, { type: "text", text: "Let me look." }, call],
        finishReason: { unified: "tool-calls" },
        usage: { inputTokens: { total: 12 }, outputTokens: { total: 34 } },
      };
    }),
});

export const agents = [
  teller,
  thinker,
  echo,
  strict,
  stepper,
  stateful,
  asker,
  twoAtOnce,
  publisher,
  failing,
  odd,
  speaker,
  sleeper,
  listener,
  chatter,
];
