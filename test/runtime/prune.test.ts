// Pruning by hand: counting, dropping, and forgetting a whole tenant so that nothing of it is left anywhere.
import { expect, test } from "vitest";
import { newId } from "../../src/engine/ids.ts";
import { agent } from "../../src/index.ts";
import { type Pruned, prune, purgeTenant } from "../../src/runtime/prune.ts";
import { giveAnswer } from "../../src/store/answers.ts";
import { hasKeys } from "../../src/store/keys.ts";
import { until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

const echo = agent({ name: "echo", run: (ctx, input) => ctx.step("echo", () => input) });
const patient = agent({ name: "patient", run: (ctx) => ctx.signal("go") });

async function last(progress: AsyncIterable<Pruned>): Promise<Pruned | undefined> {
  let found: Pruned | undefined;
  for await (found of progress);
  return found;
}

/** Tables in which this text is found, in any column. */
async function tablesWith(text: string): Promise<string[]> {
  const tables = await stage.db.query<{ name: string }>(
    "select c.relname::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'longhaul' and c.relkind in ('r', 'p')",
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const [row] = await stage.db.query<{ n: number }>(
      `select count(*) as n from longhaul.${name} x where x::text like $1`,
      [`%${text}%`],
    );
    if ((row?.n ?? 0) > 0) found.push(name);
  }
  return found.sort();
}

test("a trial counts what the real thing then drops", async () => {
  const longhaul = await stage.worker([echo, patient]);
  for (let i = 0; i < 7; i++) await longhaul.run(echo, i);
  const waiting = await longhaul.submit(patient);
  await untilStatus(longhaul, waiting.runId, "waiting");
  const options = { tenant: null, finishedMs: 0, failedMs: 0 };
  const counted = await last(prune(stage.db, { ...options, dry: true }));
  expect(counted).toEqual({ trees: 7, runs: 7, entries: 21 });
  expect(await longhaul.list()).toHaveLength(8);
  expect(await last(prune(stage.db, { ...options, finishedMs: 60_000, failedMs: null, dry: false }))).toBeUndefined();
  expect(await last(prune(stage.db, { ...options, dry: false }))).toEqual(counted);
  expect((await longhaul.list()).map((run) => run.runId)).toEqual([waiting.runId]);
});

test("a tenant is forgotten wholly: no table knows a word of it, and the others lose nothing", async () => {
  const canary = `canary-${newId()}`;
  const asker = agent({
    name: "asker",
    async run(ctx, input) {
      await ctx.state.set({ said: input });
      await ctx.spawn(echo, input, { detached: true });
      const child = await ctx.spawn(echo, String(input).repeat(3_000));
      await child.result();
      await ctx.approval("publish", { draft: input }, { expires: "1 hour" });
      const payload = await ctx.signal("go");
      ctx.emit("heard", payload);
      return String(input).repeat(3_000);
    },
  });
  const failing = agent({
    name: "failing",
    run: (_ctx, _input): unknown => {
      throw new Error(canary);
    },
  });
  const longhaul = await stage.worker([echo, asker, failing], { queues: ["default", "special"] });
  const acme = longhaul.tenant(`acme ${canary}`);
  const threadId = newId();
  const run = await acme.submit(asker, canary, {
    threadId,
    idempotencyKey: canary,
    queue: "special",
    metadata: { note: canary },
    options: { note: canary },
    concurrencyKey: canary,
    startWithin: "1 hour",
  });
  const key = await longhaul.keys.create({ tenant: acme.tenantId, name: canary, scopes: ["runs:read"], by: canary });
  await longhaul.keys.rotate(key.keyId, { by: canary });
  await acme.run(failing, null, { dedupe: { ttl: "1 hour" } }).catch(() => undefined);
  await giveAnswer(stage.db, Buffer.from(canary), acme.tenantId, newId(), 60_000, canary);
  await acme.createThread({ metadata: { note: canary } });
  const [question] = await until(async () => {
    const found = await acme.approvals({ status: "pending" });
    return found.length > 0 && found;
  });
  await expect(last(purgeTenant(stage.db, acme.tenantId))).rejects.toMatchObject({ code: "TENANT_BUSY" });
  await acme.approve(question?.approvalId ?? "", { by: canary, comment: canary });
  await acme.signal(run.runId, "go", canary);
  await run.result();
  await until(async () => (await acme.list({ status: ["queued", "running", "waiting"] })).length === 0);
  const bystander = await longhaul.tenant("bystander").submit(echo, "x".repeat(100_000), { threadId: newId() });
  await bystander.result();
  expect(await tablesWith(canary)).toEqual(
    expect.arrayContaining([
      ...["api_keys", "approvals", "blobs", "dead_letters", "gates", "journal", "lanes", "outcomes", "runs", "tenants"],
      ...["threads", "turns", "answers", "recent_runs"],
    ]),
  );
  const dropped = await last(purgeTenant(stage.db, acme.tenantId));
  expect(dropped).toMatchObject({ trees: 2, runs: 4 });
  expect(await tablesWith(canary)).toEqual([]);
  expect(await tablesWith(run.runId)).toEqual([]);
  expect(await bystander.result()).toBe("x".repeat(100_000));
  // It may come back, and starts from nothing.
  expect(await acme.run(echo, 1, { idempotencyKey: canary })).toBe(1);
  expect(await acme.list()).toHaveLength(1);
});

test("a server goes on asking for keys when the only tenant that had one is forgotten", async () => {
  const longhaul = await stage.client();
  await stage.db.query("delete from longhaul.api_keys");
  for (const tenant of [`first ${newId()}`, `second ${newId()}`]) {
    const key = await longhaul.keys.create({ tenant, scopes: ["admin"] });
    await last(purgeTenant(stage.db, tenant));
    await expect((await stage.client()).keys.holder(key.token)).rejects.toMatchObject({ code: "API_KEY_UNKNOWN" });
    expect(await hasKeys(stage.db)).toBe(true);
  }
  expect(await longhaul.keys.list()).toMatchObject([{ state: "revoked", tenant: "", revokedBy: "prune" }]);
});

test("a tenant that submits while it is forgotten loses no run that was taken in", async () => {
  const longhaul = await stage.worker([echo]);
  const tenant = longhaul.tenant(`busy ${newId()}`);
  await tenant.run(echo, 1);
  let submitting = true;
  const submits = (async () => {
    for (let i = 0; i < 40; i++) {
      const run = await tenant.submit(echo, i);
      // Dropped by then, perhaps: what matters is that none is lost on its way.
      await until(async () => {
        const found = await tenant.get(run.runId);
        return found === null || found.finishedAt !== null;
      });
    }
    submitting = false;
  })();
  while (submitting)
    await last(purgeTenant(stage.db, tenant.tenantId)).catch((error) => expect(error.code).toBe("TENANT_BUSY"));
  await submits;
  await last(purgeTenant(stage.db, tenant.tenantId));
  expect(await tablesWith(tenant.tenantId)).toEqual([]);
});
