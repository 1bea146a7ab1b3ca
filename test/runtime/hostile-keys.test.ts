// Whatever text somebody uses as a name is a name and nothing else, all the way through a run (27).
import fc from "fast-check";
import { expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import { rejection, useStage } from "../support/longhaul.ts";

const stage = useStage();
const KNOWN_TROUBLE = [
  "*",
  ":",
  "signal:x",
  "..",
  "../../etc/passwd",
  "__proto__",
  "constructor",
  "hasOwnProperty",
  "'; drop table longhaul.runs; --",
  '"',
  "\\",
  "%",
  "_",
  "{a,b}",
  "NULL",
  "null",
  "\u202eright to left",
  " ",
  "\n",
  "\u0001",
  "😀",
  "k".repeat(512),
  "ü".repeat(256),
];
const sampled = fc
  .sample(fc.string({ unit: "binary", minLength: 1, maxLength: 60 }), 40)
  .filter((name) => !/\p{Surrogate}/u.test(name) && !name.includes("\u0000"))
  .concat(KNOWN_TROUBLE);
/** Each once: a sample may hit on one twice. */
const names = [...new Set(sampled)];

const listener = agent({
  name: "listener",
  async run(ctx, name) {
    const payload = await ctx.signal(name as string);
    const verdict = await ctx.approval(name as string, name, { expires: 1 });
    ctx.emit(name as string, name);
    return { payload, tenant: ctx.tenant, verdict: verdict.status };
  },
});

test("as tenant, queue, signal, approval, event, idempotency key and metadata key, together and apart", {
  timeout: 60_000,
}, async () => {
  const longhaul = await stage.worker([listener], { queues: names, slots: 100 });
  const finished = await Promise.all(
    names.map(async (name) => {
      const tenant = longhaul.tenant(name);
      const metadata = JSON.parse(JSON.stringify({ name, [`key ${name}`]: name })) as Record<string, unknown>;
      const handle = await tenant.submit(listener, name, { queue: name, idempotencyKey: name, metadata });
      await tenant.signal(handle.runId, name, name);
      const again = await tenant.submit(listener, name, { queue: name, idempotencyKey: name, metadata });
      expect(again.runId).toBe(handle.runId);
      expect(await handle.result()).toEqual({ payload: name, tenant: name, verdict: "expired" });
      expect(await tenant.list()).toMatchObject([{ runId: handle.runId, tenant: name, queue: name, metadata }]);
      return handle.runId;
    }),
  );
  expect(new Set(finished).size).toBe(names.length);
  const [row] = await stage.db.query<{ n: number }>(
    "select count(*) as n from longhaul.tenants where tenant_id = any($1::text[])",
    [names],
  );
  expect(row?.n).toBe(new Set(names).size);
});

test("as concurrency key, plan and tenant: inert, and each of its own", { timeout: 60_000 }, async () => {
  const inside = new Map<string, number>();
  let most = 0;
  const keyed = agent({
    name: "keyed",
    concurrency: { perKey: 1 },
    run: (ctx, key) =>
      ctx.step("s", async () => {
        const name = JSON.stringify([ctx.tenant, key]);
        inside.set(name, (inside.get(name) ?? 0) + 1);
        most = Math.max(most, inside.get(name) ?? 0);
        await new Promise((resolve) => setTimeout(resolve, 1));
        inside.set(name, (inside.get(name) ?? 0) - 1);
      }),
  });
  const longhaul = await stage.worker([keyed], { slots: 100 });
  await Promise.all(
    names.map(async (name, i) => {
      const tenant = `keys ${name}`.slice(0, 250);
      expect(await longhaul.plans.set(name, { concurrency: 2 + i })).toMatchObject({ plan: name, concurrency: 2 + i });
      expect(await longhaul.tenants.setPlan(tenant, name)).toMatchObject({ tenant, plan: name, cap: 2 + i });
      const answers = await longhaul
        .tenant(tenant)
        .submitMany([1, 2, 3].map(() => ({ agent: keyed, input: name, concurrencyKey: name })));
      for (const answer of answers) await ("run" in answer ? answer.run.result() : expect.fail(String(answer.error)));
    }),
  );
  expect(most).toBe(1);
  const plans = await longhaul.plans.list();
  expect(plans.filter(({ plan }) => names.includes(plan)).map(({ tenants }) => tenants)).toEqual(names.map(() => 1));
  for (const name of names) expect(await longhaul.plans.delete(name)).toEqual({ plan: name, tenants: 1 });
  const gates = await stage.db.query<{ key: string }>("select key from longhaul.gates where agent = 'keyed'");
  expect(new Set(gates.map(({ key }) => key))).toEqual(new Set(names));
});

test("what the database cannot hold is refused before anything is stored", async () => {
  const longhaul = await stage.client([listener]);
  for (const name of ["", "a\u0000b", "\ud800", "\udc00x", "k".repeat(513), "k".repeat(65_536), "ü".repeat(257)]) {
    for (const ask of [
      () => longhaul.submit(listener, 1, { concurrencyKey: name }),
      () => longhaul.plans.set(name, 1),
      () => longhaul.tenants.setPlan(name, "default"),
      () => longhaul.tenants.setPlan("t", name),
      () => longhaul.tenants.pause(name),
      async () => longhaul.tenant(name),
    ])
      expect(await rejection(ask())).toMatchObject({ code: "KEY_INVALID", status: 400 });
  }
  expect(await longhaul.list()).toEqual([]);
});

test("as the name of a step, a branch and a map, where no two of them ever share a key", async () => {
  const stepNames = names.filter((name) => !/\p{Cc}/u.test(name) && [...name].length <= 200);
  const namer = agent({
    name: "namer",
    async run(ctx) {
      for (const name of stepNames) await ctx.step(name, () => name);
      await ctx.all(Object.fromEntries(stepNames.map((name) => [name, (c) => c.step("s", () => name)])));
      await ctx.map("m", stepNames, (c, name) => c.step(name, () => name));
    },
  });
  const longhaul = await stage.worker([namer]);
  const handle = await longhaul.submit(namer, null);
  await handle.result();
  const steps = (await longhaul.inspect(handle.runId))?.steps ?? [];
  expect(new Set(steps.map((step) => step.key)).size).toBe(steps.length);
  expect(steps.length).toBe(stepNames.length * 2 + new Set(stepNames).size);
});
