// Whatever text somebody uses as a name is a name and nothing else, all the way through a run (27).
import fc from "fast-check";
import { expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import { useStage } from "../support/longhaul.ts";

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
const names = fc
  .sample(fc.string({ unit: "binary", minLength: 1, maxLength: 60 }), 40)
  .filter((name) => !/\p{Surrogate}/u.test(name) && !name.includes("\u0000"))
  .concat(KNOWN_TROUBLE);

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
