// Many submits in one call: an answer for each, at its place.
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { agent, isLonghaulError, type SubmitAnswer } from "../../src/index.ts";
import { rejection, useStage } from "../support/longhaul.ts";

const stage = useStage();
const echo = agent({ name: "echo", run: (_ctx, input) => input });
const strict = agent({ name: "strict", input: z.object({ n: z.number() }), run: (_ctx, { n }) => n });

const codes = (answers: readonly SubmitAnswer[]): (string | null)[] =>
  answers.map((answer) => ("error" in answer ? (isLonghaulError(answer.error) ? answer.error.code : "?") : null));

test("a thousand go in their order, and each gives its own result", async () => {
  const longhaul = await stage.worker([echo], { slots: 200 });
  const answers = await longhaul.submitMany(Array.from({ length: 1_000 }, (_, input) => ({ agent: "echo", input })));
  const runs = answers.map((answer) => ("error" in answer ? expect.fail(String(answer.error)) : answer.run));
  expect(await Promise.all(runs.map((run) => run.result()))).toEqual(runs.map((_, i) => i));
  expect(runs.map((run) => run.runId)).toEqual(runs.map((run) => run.runId).toSorted());
}, 60_000);

test("what is wrong with one holds up no other", async () => {
  const longhaul = await stage.worker([echo, strict]);
  const runId = crypto.randomUUID();
  const answers = await longhaul.submitMany([
    { agent: strict, input: { n: 1 } },
    { agent: strict, input: { n: "1" } },
    { agent: "nobody" },
    { agent: echo, input: () => 1 },
    { agent: echo, priority: -1 },
    { agent: echo, concurrencyKey: "\ud800" },
    { agent: echo, runAt: new Date(Number.NaN) },
    { agent: echo, runId: "no id" },
    { agent: echo, input: 1, runId },
    { agent: echo, input: 2, idempotencyKey: "same" },
    { agent: echo, input: 2, idempotencyKey: "same" },
    { agent: echo, input: 3, idempotencyKey: "same" },
  ]);
  expect(codes(answers)).toEqual([
    ...[null, "INPUT_INVALID", "AGENT_UNKNOWN", "VALUE_NOT_SERIALIZABLE", "PRIORITY_INVALID", "KEY_INVALID"],
    ...["RUN_AT_INVALID", "ID_INVALID", null, null, null, "IDEMPOTENCY_MISMATCH"],
  ]);
  const [nine, ten] = answers.slice(9).map((answer) => ("error" in answer ? null : answer.run));
  expect(ten).toMatchObject({ runId: nine?.runId, existing: true });
  expect(await longhaul.wait(runId)).toEqual({ status: "succeeded", output: 1 });
});

test("a plan refuses what is beyond it, run by run", async () => {
  const longhaul = await stage.client([echo]);
  await longhaul.plans.set("three", { unfinishedMax: 3 });
  await longhaul.tenants.setPlan("small", "three");
  const small = longhaul.tenant("small");
  const answers = await small.submitMany(Array.from({ length: 5 }, (_, input) => ({ agent: echo, input })));
  expect(codes(answers)).toEqual([null, null, null, "TENANT_FULL", "TENANT_FULL"]);
  expect(codes(await small.submitMany([{ agent: echo }]))).toEqual(["TENANT_FULL"]);
});

describe("the list itself", () => {
  test("may be empty, and has an end", async () => {
    const longhaul = (await stage.client([echo])).tenant("nobody yet");
    expect(await longhaul.submitMany([])).toEqual([]);
    const many = Array.from({ length: 1_001 }, () => ({ agent: echo }));
    expect(await rejection(longhaul.submitMany(many))).toMatchObject({ code: "BATCH_TOO_LARGE", status: 413 });
    expect(await longhaul.list()).toEqual([]);
  });

  test("keeps its order on a thread", async () => {
    const order: unknown[] = [];
    const noter = agent({ name: "noter", run: (ctx, n) => ctx.step("s", () => order.push(n)) });
    const longhaul = await stage.worker([noter]);
    const threadId = crypto.randomUUID();
    const answers = await longhaul.submitMany([1, 2, 3, 4, 5].map((input) => ({ agent: noter, input, threadId })));
    for (const answer of answers) if ("run" in answer) await answer.run.result();
    expect(order).toEqual([1, 2, 3, 4, 5]);
  });
});
