// The claim loop rests while it can do nothing, and misses nothing when a slot is freed.
import { expect, test, vi } from "vitest";
import { type AnyAgent, agent } from "../../src/index.ts";
import { gate, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

test("a queue without a slot left is not asked for until one is freed, and keeps nobody busy", async () => {
  const door = gate();
  const heavy: AnyAgent = agent({ name: "heavy", queue: "heavy", run: (ctx) => ctx.step("wait", () => door.opened) });
  const light: AnyAgent = agent({ name: "light", run: (_ctx, input) => input });
  const longhaul = await stage.worker([heavy, light], { queues: ["heavy:1", "default"], tickMs: 1_000 });
  const [first, second] = [await longhaul.submit(heavy, 1), await longhaul.submit(heavy, 2)];
  await untilStatus(longhaul, first.runId, "running");

  const query = vi.spyOn(longhaul.database, "query");
  const claims = (): number => query.mock.calls.filter(([, , name]) => name === "lh_claim").length;
  expect(await (await longhaul.submit(light, "light")).result()).toBe("light");
  await new Promise((resolve) => setTimeout(resolve, 300));
  // A loop would ask hundreds of times.
  expect(claims()).toBeLessThan(20);
  query.mockRestore();
  expect((await longhaul.get(second.runId))?.status).toBe("queued");

  door.open();
  await Promise.all([first.result(), second.result()]);
  await until(async () => (await longhaul.get(second.runId))?.status === "succeeded");
});
