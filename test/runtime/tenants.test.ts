// Tenants: what belongs to one does not exist for another, in any verb.
import { describe, expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import type { Tenant } from "../../src/runtime/api.ts";
import { until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();
const CANARY = "canary-7f3a";
const secret = agent({
  name: "secret",
  async run(ctx) {
    await ctx.step("s", () => CANARY);
    await ctx.state.set(CANARY);
    ctx.emit("said", CANARY);
    return ctx.approval("a", CANARY);
  },
});

describe("another tenant's run is unknown to every verb (10, 49)", () => {
  const verbs: Record<string, (tenant: Tenant, runId: string) => Promise<unknown>> = {
    why: (tenant, runId) => tenant.why(runId),
    wait: (tenant, runId) => tenant.wait(runId, { timeoutMs: 50 }),
    cancel: (tenant, runId) => tenant.cancel(runId),
    signal: (tenant, runId) => tenant.signal(runId, "go"),
    retry: (tenant, runId) => tenant.retry(runId, { by: "eve" }),
    fork: (tenant, runId) => tenant.fork(runId),
    stream: async (tenant, runId) => {
      for await (const event of tenant.stream(runId)) return event;
    },
  };

  test.each(Object.keys(verbs))("%s", async (verb) => {
    const longhaul = await stage.worker([secret]);
    const handle = await longhaul.submit(secret, CANARY);
    await untilStatus(longhaul, handle.runId, "waiting");
    await expect(verbs[verb]?.(longhaul.tenant("eve"), handle.runId)).rejects.toMatchObject({
      code: "RUN_NOT_FOUND",
      status: 404,
    });
    await expect(verbs[verb]?.(longhaul.tenant("eve"), "no id")).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
    await expect(verbs[verb]?.(longhaul.tenant("eve"), crypto.randomUUID())).rejects.toMatchObject({
      code: "RUN_NOT_FOUND",
    });
    expect((await longhaul.get(handle.runId))?.status).toBe("waiting");
    await handle.cancel();
  });

  test("get, inspect, result, list, approvals and thread find nothing", async () => {
    const longhaul = await stage.worker([secret]);
    const threadId = crypto.randomUUID();
    const handle = await longhaul.submit(secret, CANARY, { threadId, metadata: { canary: CANARY } });
    await untilStatus(longhaul, handle.runId, "waiting");
    const eve = longhaul.tenant("eve");
    const seen = [
      await eve.get(handle.runId),
      await eve.inspect(handle.runId),
      await eve.result(handle.runId),
      await eve.list(),
      await eve.list({ threadId }),
      await eve.list({ metadata: { canary: CANARY } }),
      await eve.approvals(),
      await eve.approvals({ runId: handle.runId }),
      await eve.thread(threadId),
    ];
    expect(seen).toEqual([null, null, null, [], [], [], [], [], null]);
    await handle.cancel();
  });
});

test("one thread id of two tenants names two threads", async () => {
  const longhaul = await stage.client([secret]);
  const threadId = crypto.randomUUID();
  await longhaul.createThread({ threadId, metadata: { whose: "default" } });
  await longhaul.tenant("other").createThread({ threadId, metadata: { whose: "other" } });
  expect((await longhaul.thread(threadId))?.metadata).toEqual({ whose: "default" });
  expect((await longhaul.tenant("other").thread(threadId))?.metadata).toEqual({ whose: "other" });
});

test("children belong to the tenant of their parent", async () => {
  const child = agent({ name: "child", run: (ctx) => ctx.tenant });
  const parent = agent({ name: "parent", run: async (ctx) => (await ctx.spawn(child, null)).result() });
  const longhaul = await stage.worker([parent, child]);
  expect(await longhaul.tenant("acme").run(parent, null)).toBe("acme");
  expect(await longhaul.tenant("acme").list({ agent: "child" })).toHaveLength(1);
  expect(await longhaul.list({ agent: "child" })).toEqual([]);
});

test("large values are kept apart per tenant: one tenant's content is not found by another's hash", async () => {
  const large = "x".repeat(100_000);
  const echo = agent({ name: "echo", run: (_ctx, input) => input });
  const longhaul = await stage.worker([echo]);
  for (const tenant of ["big-a", "big-b"]) expect(await longhaul.tenant(tenant).run(echo, large)).toBe(large);
  const rows = await stage.db.query("select tenant_id from longhaul.blobs where tenant_id like 'big-%' order by 1");
  expect(rows).toEqual([{ tenant_id: "big-a" }, { tenant_id: "big-b" }]);
});

test("a tenant with a thousand runs does not hold up another's one (25)", async () => {
  const order: string[] = [];
  const noter = agent({ name: "noter", run: (ctx) => ctx.step("s", () => void order.push(ctx.tenant)) });
  const client = await stage.client([noter]);
  await Promise.all(Array.from({ length: 300 }, () => client.tenant("crowd").submit(noter, null)));
  const single = await client.tenant("single").submit(noter, null);
  await stage.worker([noter], { slots: 5 });
  await single.result();
  expect(order.indexOf("single")).toBeLessThan(50);
  await until(() => order.length === 301, 30_000);
});
