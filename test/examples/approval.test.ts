// The approval example: a person decides, may change what was asked, and is asked only when it matters.
import { expect, test } from "vitest";
import { refund } from "../../examples/approval/agent.ts";
import { until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

test("a small refund is paid without asking anybody", async () => {
  const longhaul = await stage.worker([refund]);
  const paid = await longhaul.run(refund, { order: "A-1", amountUsd: 12 });
  expect(paid).toMatchObject({ paidUsd: 12, decidedBy: null, status: "paid" });
  expect(await longhaul.approvals()).toEqual([]);
});

test("a large one waits as a row, outlives its worker, and is paid as the approver changed it", async () => {
  const before = await stage.worker([refund]);
  const { runId } = await before.submit(refund, { order: "A-2", amountUsd: 120 });
  const waiting = await untilStatus(before, runId, "waiting");
  expect(waiting.workerId).toBeNull();
  await before.close();

  const after = await stage.client([refund]);
  const [asked] = await until(async () => {
    const pending = await after.approvals({ runId, status: "pending" });
    return pending.length > 0 && pending;
  });
  expect(asked?.request).toEqual({ order: "A-2", amountUsd: 120, reason: "the parcel did not arrive" });
  await after.approve(asked?.approvalId ?? "", { by: "ann", args: { order: "A-2", amountUsd: 100 } });
  await stage.worker([refund]);
  const result = await after.wait(runId);
  expect(result).toMatchObject({ status: "succeeded", output: { paidUsd: 100, decidedBy: "ann", status: "paid" } });
});

test("a denied one is not paid", async () => {
  const longhaul = await stage.worker([refund]);
  const handle = await longhaul.submit(refund, { order: "A-3", amountUsd: 500 });
  await untilStatus(longhaul, handle.runId, "waiting");
  const [asked] = await longhaul.approvals({ runId: handle.runId });
  await longhaul.deny(asked?.approvalId ?? "", { by: "bob" });
  expect(await handle.result()).toEqual({ paidUsd: 0, decidedBy: "bob", status: "denied" });
  const steps = (await longhaul.inspect(handle.runId))?.steps.map(({ key }) => key) ?? [];
  expect(steps.filter((key) => key.startsWith("pay"))).toEqual([]);
});
