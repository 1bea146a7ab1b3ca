// Inputs and outputs are inferred from the agent's schema and code: what does not fit does not compile.
import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { type AgentInput, type AgentOutput, agent, type Ctx, type Tenant } from "../../src/index.ts";

const researcher = agent({
  name: "researcher",
  input: z.object({ question: z.string(), depth: z.number().default(1) }),
  async run(ctx, input) {
    // Inside: the schema's output, with its defaults.
    expectTypeOf(input).toEqualTypeOf<{ question: string; depth: number }>();
    return ctx.step("answer", () => ({ text: input.question, sources: [1, 2] }));
  },
});

/** Never called: what it says is checked by the compiler. */
async function submitted(longhaul: Tenant, ctx: Ctx): Promise<void> {
  // Outside: the schema's input, where what has a default may be left out.
  const handle = await longhaul.submit(researcher, { question: "why?" });
  expectTypeOf(await handle.result()).toEqualTypeOf<{ text: string; sources: number[] }>();
  expectTypeOf(await longhaul.run(researcher, { question: "why?", depth: 2 })).toEqualTypeOf<{
    text: string;
    sources: number[];
  }>();
  // @ts-expect-error the question is missing
  await longhaul.submit(researcher, {});
  // @ts-expect-error the question is not a string
  await longhaul.submit(researcher, { question: 1 });
  // By name nothing is known.
  expectTypeOf(await longhaul.run("researcher", { question: "why?" })).toEqualTypeOf<unknown>();

  const child = await ctx.spawn(researcher, { question: "why?" });
  expectTypeOf(await child.result()).toEqualTypeOf<{ text: string; sources: number[] }>();
  // @ts-expect-error items must be inputs of the agent
  await ctx.map("read", ["why?"], researcher);
  expectTypeOf(
    await ctx.map("read", ["a", "b"], (branch, item, i) => branch.step("x", () => `${item}${i}`)),
  ).toEqualTypeOf<string[]>();
  const both = await ctx.all({ a: (c) => c.step("a", () => 1), b: async () => "b" });
  expectTypeOf(both).toEqualTypeOf<{ a: number; b: string }>();
  const first = await ctx.race({ n: (c) => c.step("n", () => 1), t: (c) => c.sleep("1 s") });
  if (first.winner === "n") expectTypeOf(first.value).toEqualTypeOf<number>();
  const verdict = await ctx.approval("publish", { draft: "x" });
  expectTypeOf(verdict.args.draft).toEqualTypeOf<string>();
  expectTypeOf(await ctx.signal<number>("go", { timeout: "1 s" })).toEqualTypeOf<number | undefined>();
}

test("the types of an agent are what its schema and its code say", () => {
  expectTypeOf<AgentInput<typeof researcher>>().toEqualTypeOf<{ question: string; depth?: number | undefined }>();
  expectTypeOf<AgentOutput<typeof researcher>>().toEqualTypeOf<{ text: string; sources: number[] }>();
  expect(submitted).toBeTypeOf("function");
});

test("any Standard Schema will do", () => {
  const even = {
    "~standard": {
      version: 1,
      vendor: "by hand",
      types: undefined as unknown as { input: number; output: bigint },
      validate: (value: unknown) =>
        Number(value) % 2 === 0 ? { value: BigInt(value as number) } : { issues: [{ message: "odd" }] },
    },
  } as const;
  const halver = agent({ name: "halver", input: even, run: (_, n) => n / 2n });
  expectTypeOf<AgentInput<typeof halver>>().toEqualTypeOf<number>();
  expectTypeOf<AgentOutput<typeof halver>>().toEqualTypeOf<bigint>();
  expect(halver.schema).toBe(even);
});
