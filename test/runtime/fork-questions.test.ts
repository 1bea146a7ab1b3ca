// A fork of a run that waits for an answer beside other work.
import { expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import { until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

test("a question that was asked before the fork's point and is still open is asked anew, under an id of its own (32)", async () => {
  const busy = agent({
    name: "busy",
    async run(ctx) {
      const [verdict] = await Promise.all([
        ctx.approval("publish", "text"),
        ctx.step("first", () => 1).then(() => ctx.step("second", () => 2)),
      ]);
      return verdict.by;
    },
  });
  const longhaul = await stage.worker([busy]);
  const source = await longhaul.submit(busy, null);
  await untilStatus(longhaul, source.runId, "waiting");
  const fork = await longhaul.fork(source.runId, { beforeStep: "second" });
  const asked = async (runId: string) => (await longhaul.approvals({ runId, status: "pending" }))[0];
  const anew = await until(() => asked(fork.runId), 5_000);
  const old = await asked(source.runId);
  expect(anew.approvalId).not.toBe(old?.approvalId);
  await longhaul.approve(anew.approvalId, { by: "ann" });
  expect(await fork.result()).toBe("ann");
  expect(await longhaul.get(source.runId)).toMatchObject({ status: "waiting" });
});
