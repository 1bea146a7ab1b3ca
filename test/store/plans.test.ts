// A plan that is made while the tables are small is kept when they have grown: none of ours may read a whole table or index.
import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { agent, connect } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { callModel } from "../support/calls.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

/** Small by nature: a row per process, or rows that live for a moment. */
const SMALL = new Set([
  "workers",
  "intake",
  "cancel_cascade",
  "schema_migrations",
  "plans",
  "agents",
  "retention",
  "leftovers",
  "loose_blobs",
]);
/** Indexes of which the whole is meant, or only the first entry. */
const WHOLE = new Set(["live_running", "live_isolated", "later_due", "gates_of_agents"]);
/** Compares all counters with all that runs, once in a while: it means the whole. */
const RECONCILE = /select x\.(tenant_id|gate_id) from longhaul\.(tenants|gates) x left join/;
/** Statements are planned anew for each call until the sixth. */
const ROUNDS = 8;

const step = agent({
  name: "step",
  concurrency: { limit: 100, perKey: 100 },
  run: (ctx) => ctx.step("one", () => "x".repeat(70_000)),
});
const waiter = agent({
  name: "waiter",
  async run(ctx) {
    await ctx.all({ a: (c) => c.step("a", () => 1), b: (c) => c.step("b", () => 1) });
    await ctx.approval("question", 1);
    await ctx.sleep(300);
    const child = await ctx.spawn(step, null);
    await child.result();
    await ctx.signal("go");
  },
});

const COST = { estimate: { input: 10, usd: 0.01 }, failures: 1 };
const caller = agent({ name: "caller", run: (ctx) => callModel(ctx, "call", COST) });
const spender = agent({ name: "spender", budget: { usd: 1, steps: 100 }, run: (ctx) => callModel(ctx, "call", COST) });

const WORKER = { worker: { warmMs: 0, retentionEveryMs: 100 }, retention: { finished: "1 s", failed: 0 } };

let database: FreshDatabase;
let longhaul: LonghaulProcess;
const plans: string[] = [];
let explains = true;

beforeAll(async () => {
  database = await freshDatabase();
  await analyze();
  explains = await database.db.query("load 'auto_explain'").then(
    () => true,
    () => false,
  );
  if (!explains) return;
  const settings = [
    "session_preload_libraries=auto_explain",
    "auto_explain.log_min_duration=0",
    "auto_explain.log_nested_statements=on",
    "auto_explain.log_level=notice",
  ];
  const url = new URL(database.url);
  url.searchParams.set("options", settings.map((setting) => `-c ${setting}`).join(" "));
  longhaul = await connect({ url: url.toString(), agents: [step, waiter, caller, spender], ...WORKER });
  longhaul.database.pool.on("acquire", listen);
});

afterAll(async () => {
  if (explains) await longhaul.close();
  await database.drop();
});

/** The tables are told to be small, so that reading the whole of them looks cheap. */
async function analyze(): Promise<void> {
  const tables = await database.db.query<{ name: string }>(
    "select tablename as name from pg_tables where schemaname = 'longhaul'",
  );
  for (const { name } of tables) await database.db.query(`vacuum analyze longhaul.${pg.escapeIdentifier(name)}`);
}

const heard = new WeakSet<object>();
function listen(client: pg.PoolClient): void {
  if (heard.has(client)) return;
  heard.add(client);
  client.on("notice", ({ message }) => {
    if (message?.includes("plan:") === true) plans.push(message);
  });
}

/** Tables and indexes that a plan reads from one end to the other. */
function wholes(plan: string): string[] {
  const lines = plan.split("\n");
  return lines.flatMap((line, place) => {
    const table = /Seq Scan on (\w+)/.exec(line)?.[1];
    if (table !== undefined) return SMALL.has(table) ? [] : [table];
    const index = /Index (?:Only )?Scan (?:Backward )?using (\w+) on/.exec(line)?.[1];
    if (index === undefined || WHOLE.has(index)) return [];
    // What belongs to the node is indented deeper and has no arrow of its own.
    for (const next of lines.slice(place + 1)) {
      if (next.includes("Index Cond:")) return [];
      if (/->|Plan \d|CTE \w+$/.test(next)) break;
    }
    return [index];
  });
}

async function everything(): Promise<void> {
  // What people read (list, inspect, why) is left out: those statements are planned anew at every call.
  const thread = randomUUID();
  const run = await longhaul.submit(waiter, null, { threadId: thread });
  const next = await longhaul.submit(step, null, { threadId: thread });
  await Promise.all(Array.from({ length: 5 }, () => longhaul.run(step, null)));
  await expect
    .poll(() => longhaul.approvals({ status: "pending", runId: run.runId }), { timeout: 10_000 })
    .toHaveLength(1);
  await Promise.all([caller, spender].flatMap((agent) => [longhaul.run(agent, null), longhaul.run(agent, null)]));
  const [question] = await longhaul.approvals({ status: "pending" });
  await longhaul.approve(question?.approvalId ?? "", { by: "ann" });
  await longhaul.signal(run.runId, "go");
  await run.result();
  await next.result();
  const late = await longhaul.submit(step, null, { delay: "1 hour", idempotencyKey: run.runId });
  await late.cancel();
  await dropped(next.runId);
}

/** By the worker, whose retention is very short. */
async function dropped(runId: string): Promise<void> {
  await expect.poll(() => longhaul.get(runId), { timeout: 10_000 }).toBeNull();
}

test("no statement reads a whole table, even where all tables looked small", async (context) => {
  context.skip(!explains, "this server has no auto_explain");
  for (let round = 0; round < ROUNDS; round++) {
    await everything();
    await analyze();
  }
  const asked = plans.filter((plan) => !RECONCILE.test(plan.replace(/\s+/g, " ")));
  const found = asked.flatMap((plan) =>
    wholes(plan).map((what) => `${what}: ${/Query Text: ([\s\S]{0,150})/.exec(plan)?.[1]?.replace(/\s+/g, " ")}`),
  );
  expect(plans.length).toBeGreaterThan(500);
  expect([...new Set(found)]).toEqual([]);
}, 120_000);

test("the check sees a whole table and a whole index", () => {
  expect(wholes("plan:\nQuery Text: x\nSeq Scan on live l  (cost=0)")).toEqual(["live"]);
  expect(wholes("Index Scan using live_pkey on live l  (cost=0)\n  Filter: (a = 1)")).toEqual(["live_pkey"]);
  expect(wholes("Index Scan using live_pkey on live l  (cost=0)\n  Index Cond: (run_id = $1)")).toEqual([]);
});
