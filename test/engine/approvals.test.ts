// Questions to people: answered exactly once, by whoever comes first, for exactly what was shown.
import { describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { type Approval, agent, isLonghaulError } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { gate, journalOf, rejection, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

const publisher = agent({
  name: "publisher",
  run: (ctx, input) => ctx.approval("publish", { draft: input }, { expires: "3 days" }),
});

async function question(longhaul: LonghaulProcess, runId: string): Promise<Approval> {
  return until(async () => (await longhaul.approvals({ status: "pending", runId }))[0]);
}

test("of 20 answers at once one wins, and the others are told who won (30)", async () => {
  const longhaul = await stage.worker([publisher]);
  const handle = await longhaul.submit(publisher, "x");
  const { approvalId } = await question(longhaul, handle.runId);
  const answers = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => {
      return i % 2 === 0 ? longhaul.approve(approvalId, { by: `p${i}` }) : longhaul.deny(approvalId, { by: `p${i}` });
    }),
  );
  const won = answers.filter((answer) => answer.status === "fulfilled");
  expect(won).toHaveLength(1);
  const winner = won[0]?.value.resolvedBy;
  for (const answer of answers) {
    if (answer.status === "fulfilled") continue;
    expect(answer.reason).toMatchObject({
      code: "APPROVAL_TAKEN",
      status: 409,
      details: { winner: { resolvedBy: winner } },
    });
  }
  expect(await handle.result()).toMatchObject({ by: winner });
  const received = (await journalOf(stage.db, handle.runId)).filter((entry) => entry.kind === KIND.received);
  expect(received).toHaveLength(1);
});

test("an approval carries what was asked and its hash, and gives it back unedited", async () => {
  const longhaul = await stage.worker([publisher]);
  const handle = await longhaul.submit(publisher, "the text");
  const approval = await question(longhaul, handle.runId);
  expect(approval).toMatchObject({
    kind: "approval",
    name: "publish",
    request: { draft: "the text" },
    status: "pending",
  });
  expect(approval.requestHash).toMatch(/^[0-9a-f]{16}$/);
  await longhaul.approve(approval.approvalId, { by: "ann", comment: "good" });
  expect(await handle.result()).toEqual({
    approved: true,
    status: "approved",
    args: { draft: "the text" },
    edited: false,
    by: "ann",
    comment: "good",
  });
});

test("edited arguments reach the agent, and are marked as edited (33)", async () => {
  const longhaul = await stage.worker([publisher]);
  const handle = await longhaul.submit(publisher, "first");
  await longhaul.approve((await question(longhaul, handle.runId)).approvalId, { by: "ann", args: { draft: "second" } });
  expect(await handle.result()).toMatchObject({ approved: true, edited: true, args: { draft: "second" } });
});

test("a denial is an answer", async () => {
  const longhaul = await stage.worker([publisher]);
  const handle = await longhaul.submit(publisher, "x");
  await longhaul.deny((await question(longhaul, handle.runId)).approvalId, { by: "bob", comment: "no" });
  expect(await handle.result()).toMatchObject({ approved: false, status: "denied", by: "bob", comment: "no" });
});

test("an approval that waits costs a row (34), and survives the process that asked", async () => {
  const first = await stage.worker([publisher]);
  const handle = await first.submit(publisher, "x");
  const approval = await question(first, handle.runId);
  const waiting = await untilStatus(first, handle.runId, "waiting");
  expect(waiting).toMatchObject({ workerId: null, leaseExpiresAt: null });
  await first.close();
  const second = await stage.worker([publisher]);
  expect(await second.approvals({ status: "pending", runId: handle.runId })).toEqual([approval]);
  await second.approve(approval.approvalId, { by: "ann" });
  expect(await second.wait(handle.runId)).toMatchObject({ output: { approved: true } });
});

test("a question is asked once, whatever happens to the worker between asking and sleeping", async () => {
  const hold = gate();
  let starts = 0;
  const busy = agent({
    name: "busy",
    async run(ctx) {
      starts += 1;
      return ctx.all({ ask: (c) => c.approval("a", 1), work: (c) => c.step("work", () => hold.opened.then(() => 2)) });
    },
  });
  const longhaul = await stage.worker([busy]);
  const handle = await longhaul.submit(busy, null);
  const approval = await question(longhaul, handle.runId);
  await stage.takeOver(handle.runId);
  await until(() => starts === 2);
  hold.open();
  await untilStatus(longhaul, handle.runId, "waiting");
  expect((await longhaul.approvals({ runId: handle.runId })).map((a) => a.approvalId)).toEqual([approval.approvalId]);
  await longhaul.approve(approval.approvalId, { by: "ann" });
  expect(await handle.result()).toMatchObject({ ask: { approved: true }, work: 2 });
});

describe("expiry", () => {
  const brief = agent({ name: "brief", run: (ctx, ms) => ctx.approval("publish", 1, { expires: ms as number }) });

  test("one that nobody answers expires, and late answers hear so", async () => {
    const longhaul = await stage.worker([brief]);
    const handle = await longhaul.submit(brief, 1_500);
    const { approvalId } = await question(longhaul, handle.runId);
    expect(await handle.result()).toMatchObject({ approved: false, status: "expired", by: null });
    const error = await rejection(longhaul.approve(approvalId, { by: "late" }));
    expect(["APPROVAL_EXPIRED", "APPROVAL_GONE"]).toContain(error.code);
    expect(error.status).toBe(410);
    expect(await longhaul.approvals({ runId: handle.runId })).toMatchObject([{ status: "expired" }]);
  });

  test("answers that race with the expiry: the run and the approval agree on what happened (30)", async () => {
    const longhaul = await stage.worker([brief]);
    const handles = await Promise.all(Array.from({ length: 15 }, (_, i) => longhaul.submit(brief, 270 + 4 * i)));
    const asked = await Promise.all(handles.map((handle) => question(longhaul, handle.runId)));
    await until(() => Date.parse(asked[7]?.expiresAt ?? "") <= Date.now() + 5);
    const answers = await Promise.allSettled(
      asked.map(({ approvalId }) => longhaul.approve(approvalId, { by: "ann" })),
    );
    for (const [i, handle] of handles.entries()) {
      const verdict = (await handle.result()) as { status: string };
      const answer = answers[i];
      expect(verdict.status).toBe(answer?.status === "fulfilled" ? "approved" : "expired");
      if (answer?.status === "rejected") expect(isLonghaulError(answer.reason) && answer.reason.status).toBe(410);
      expect(await longhaul.approvals({ runId: handle.runId })).toMatchObject([{ status: verdict.status }]);
    }
  });

  test("one that expired while nobody ran the agent expires all the same when it is taken up", async () => {
    const client = await stage.worker([brief]);
    const handle = await client.submit(brief, 2_000);
    const { approvalId } = await question(client, handle.runId);
    await untilStatus(client, handle.runId, "waiting");
    await client.close();
    const reader = await stage.client([brief]);
    await until(
      async () => Date.parse((await reader.approvals({ runId: handle.runId }))[0]?.expiresAt ?? "") < Date.now(),
    );
    await expect(reader.approve(approvalId, { by: "late" })).rejects.toMatchObject({ code: "APPROVAL_EXPIRED" });
    const worker = await stage.worker([brief]);
    expect(await worker.wait(handle.runId)).toMatchObject({ output: { status: "expired" } });
  });
});

test("an answer for an ended run hears that it no longer applies (32)", async () => {
  const longhaul = await stage.worker([publisher]);
  const handle = await longhaul.submit(publisher, "x");
  const { approvalId } = await question(longhaul, handle.runId);
  await handle.cancel();
  await until(async () => (await longhaul.get(handle.runId))?.status === "cancelled");
  await expect(longhaul.approve(approvalId, { by: "ann" })).rejects.toMatchObject({
    code: "APPROVAL_GONE",
    status: 410,
  });
  expect(await longhaul.approvals({ status: "pending", runId: handle.runId })).toEqual([]);
});

test("an unknown approval, one of another tenant and no id at all are the same: not found", async () => {
  const longhaul = await stage.worker([publisher]);
  const handle = await longhaul.submit(publisher, "x");
  const { approvalId } = await question(longhaul, handle.runId);
  for (const ask of [
    () => longhaul.tenant("other").approve(approvalId, { by: "eve" }),
    () => longhaul.approve(crypto.randomUUID(), { by: "eve" }),
    () => longhaul.approve("'; drop table longhaul.runs; --", { by: "eve" }),
  ]) {
    await expect(ask()).rejects.toMatchObject({ code: "APPROVAL_NOT_FOUND", status: 404 });
  }
  expect(await longhaul.tenant("other").approvals()).toEqual([]);
  await longhaul.approve(approvalId, { by: "ann" });
  await handle.result();
});

describe("interrupts", () => {
  test("ctx.interrupt shows a value and gives any answer", async () => {
    const asker = agent({
      name: "asker",
      run: async (ctx) => [await ctx.interrupt({ q: "name?" }), await ctx.interrupt({ q: "age?" })],
    });
    const longhaul = await stage.worker([asker]);
    const handle = await longhaul.submit(asker, null);
    const first = await question(longhaul, handle.runId);
    expect(first).toMatchObject({ kind: "interrupt", request: { q: "name?" } });
    await longhaul.resume(first.approvalId, new Map([["name", "Ann"]]), "ann");
    const second = await until(async () => (await longhaul.approvals({ status: "pending", runId: handle.runId }))[0]);
    expect(second.approvalId).not.toBe(first.approvalId);
    await longhaul.resume(second.approvalId, null, "ann");
    expect(await handle.result()).toEqual([new Map([["name", "Ann"]]), null]);
  });

  test("an approval that is answered by a bare value counts as approved unless it says otherwise", async () => {
    const longhaul = await stage.worker([publisher]);
    for (const [value, approved] of [
      [true, true],
      [{ approved: false }, false],
      [false, false],
    ] as const) {
      const handle = await longhaul.submit(publisher, "x");
      await longhaul.resume((await question(longhaul, handle.runId)).approvalId, value, "ann");
      expect(await handle.result()).toMatchObject({ approved, by: "ann" });
    }
  });
});
