// What reports say about calls, against the same sums done by hand.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CostGroup } from "../../src/domain/costs.ts";
import { newId } from "../../src/engine/ids.ts";
import { type CostQuestion, readConcentration, readCosts } from "../../src/store/costs.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

interface Call {
  readonly tenant: string;
  readonly root: string | null;
  readonly run: string | null;
  readonly agent: string | null;
  readonly feature: string | null;
  readonly step: string | null;
  readonly provider: string;
  readonly model: string;
  readonly state: "open" | "succeeded" | "failed" | "abandoned";
  readonly source: "provider" | "cache" | "coalesced";
  readonly price: "exact" | "unknown";
  readonly input: number;
  readonly nano: number;
  readonly ms: number;
  readonly chunkMs: number | null;
  readonly hoursAgo: number;
}

let fresh: FreshDatabase;
const roots = Array.from({ length: 40 }, () => newId());
const calls: Call[] = Array.from({ length: 800 }, (_, n) => {
  const place = (n * 7) % 40;
  const isOutside = n % 10 === 0;
  const state = n % 13 === 0 ? "failed" : n % 29 === 0 ? "abandoned" : n % 31 === 0 ? "open" : "succeeded";
  return {
    tenant: place % 4 === 0 ? "acme" : "globex",
    root: isOutside ? null : (roots[place] as string),
    run: isOutside ? null : n % 3 === 0 ? newId() : (roots[place] as string),
    agent: isOutside ? null : n % 3 === 0 ? "helper" : "lead",
    feature: n % 5 === 0 ? null : `feature ${n % 5}`,
    step: isOutside ? null : `@1/branch#2/plan%2f%25${n % 2}@m${n}#${(n % 7) + 1}`,
    provider: n % 2 === 0 ? "openai" : "anthropic",
    model: n % 2 === 0 ? "gpt-5" : "claude",
    state,
    source: n % 17 === 0 ? "cache" : n % 19 === 0 ? "coalesced" : "provider",
    price: n % 23 === 0 ? "unknown" : "exact",
    input: n,
    nano: place === 4 ? 50_000_000 : n * 1_000,
    ms: 100 + ((n * 37) % 900),
    chunkMs: n % 2 === 0 ? 10 + (n % 90) : null,
    hoursAgo: n / 10,
  };
});

beforeAll(async () => {
  fresh = await freshDatabase();
  const now = Date.now();
  const rows = calls.map((call) => {
    const at = new Date(now - call.hoursAgo * 3_600_000);
    const hex = at.getTime().toString(16).padStart(12, "0");
    return { ...call, id: `${hex.slice(0, 8)}-${hex.slice(8)}${newId().slice(13)}`, at: at.toISOString() };
  });
  await fresh.db.query(
    `insert into longhaul.calls (call_id, run_id, root_id, opened_at, closed_at, est_input, est_output, est_nano_usd, input_tokens, output_tokens, cache_read_tokens,
       reasoning_tokens, nano_usd, latency_ms, first_chunk_ms, attempt, tenant_id, call_key, step_key, agent, feature, provider, model, state, price_confidence, source, failure)
     select (c->>'id')::uuid, (c->>'run')::uuid, (c->>'root')::uuid, (c->>'at')::timestamptz, case when c->>'state' <> 'open' then (c->>'at')::timestamptz end, 0, 0, 0,
       (c->>'input')::bigint, 2, 1, 1, (c->>'nano')::bigint, (c->>'ms')::int, (c->>'chunkMs')::int, 1, c->>'tenant', c->>'id', c->>'step', c->>'agent', c->>'feature',
       c->>'provider', c->>'model', c->>'state', c->>'price', c->>'source', case when c->>'state' = 'failed' then 'transient' end
       from jsonb_array_elements($1::jsonb) c`,
    [JSON.stringify(rows)],
  );
});
afterAll(() => fresh.drop());

const asked = (change: Partial<CostQuestion> = {}): CostQuestion => ({
  tenant: null,
  since: new Date(Date.now() - 1_000 * 3_600_000),
  until: new Date(Date.now() + 60_000),
  callsMax: 1_000_000,
  limit: 1_000,
  ...change,
});

const KEYS: Record<CostGroup, (call: Call) => string | null> = {
  tenant: ({ tenant }) => tenant,
  agent: ({ agent }) => agent,
  feature: ({ feature }) => feature,
  model: ({ provider, model }) => `${provider}/${model}`,
  provider: ({ provider }) => provider,
  step: ({ agent, step }) => (step === null ? null : `${agent}: plan/%${/%25(\d)/.exec(step)?.[1]}`),
  run: ({ run, root }) => run ?? root,
  day: ({ hoursAgo }) => new Date(Date.now() - hoursAgo * 3_600_000).toISOString().slice(0, 10),
};

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.ceil(sorted.length * part) - 1] as number;
}

function byHand(some: readonly Call[]) {
  const served = some.filter(({ state, source }) => state === "succeeded" && source === "provider");
  const spread = (values: readonly number[]) =>
    values.length === 0 ? null : { p50: percentile(values, 0.5), p95: percentile(values, 0.95) };
  const sum = (value: (call: Call) => number) => some.reduce((total, call) => total + value(call), 0);
  return {
    calls: some.length,
    failed: some.filter(({ state }) => state !== "succeeded").length,
    cached: some.filter(({ source }) => source === "cache").length,
    coalesced: some.filter(({ source }) => source === "coalesced").length,
    inputTokens: sum(({ input }) => input),
    outputTokens: 2 * some.length,
    cacheReadTokens: some.length,
    cacheWriteTokens: 0,
    reasoningTokens: some.length,
    usd: sum(({ nano }) => nano) / 1e9,
    unpriced: some.filter(({ price }) => price === "unknown").length,
    latencyMs: spread(served.map(({ ms }) => ms)),
    firstChunkMs: spread(served.flatMap(({ chunkMs }) => (chunkMs === null ? [] : [chunkMs]))),
  };
}

describe("costs", () => {
  test.each(Object.keys(KEYS) as CostGroup[])("by %s are what adding up by hand gives", async (by) => {
    for (const tenant of [null, "acme"]) {
      const counted = calls.filter((call) => call.state !== "open" && (tenant === null || call.tenant === tenant));
      const groups = groupBy(counted, KEYS[by]);
      const report = await readCosts(fresh.db, by, asked({ tenant }));
      expect(report.total).toEqual(byHand(counted));
      expect(new Map(report.lines.map(({ key, ...figures }) => [key, figures]))).toEqual(
        new Map([...groups].map(([key, some]) => [key, byHand(some)])),
      );
      const order = report.lines.map(({ key, usd }) => (by === "day" ? String(key) : -usd));
      expect(order).toEqual([...order].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)));
      expect([report.isComplete, report.more]).toEqual([true, 0]);
    }
  });

  test("are of the time that is asked for", async () => {
    const since = new Date(Date.now() - 20.05 * 3_600_000);
    const until = new Date(Date.now() - 10.05 * 3_600_000);
    const counted = calls.filter(({ state, hoursAgo }) => state !== "open" && hoursAgo > 10.05 && hoursAgo < 20.05);
    for (const tenant of [null, "globex"]) {
      const { total } = await readCosts(fresh.db, "model", asked({ since, until, tenant }));
      expect(total).toEqual(byHand(counted.filter((call) => tenant === null || call.tenant === tenant)));
    }
  });

  test("say how many lines are not shown, and when they are not of all calls", async () => {
    const few = await readCosts(fresh.db, "run", asked({ limit: 3 }));
    expect([few.lines.length, few.more > 100, few.isComplete]).toEqual([3, true, true]);
    const newest = await readCosts(fresh.db, "model", asked({ callsMax: 100 }));
    expect([newest.total.calls, newest.isComplete]).toEqual([100, false]);
    const counted = calls.filter(({ state }) => state !== "open").slice(0, 100);
    expect(newest.total.usd).toBe(byHand(counted).usd);
  });

  test("of nothing are nothing", async () => {
    const report = await readCosts(fresh.db, "model", asked({ tenant: "nobody" }));
    expect(report).toMatchObject({ lines: [], total: { calls: 0, usd: 0, latencyMs: null }, more: 0 });
  });
});

test("how unevenly runs cost", async () => {
  const counted = calls.filter(({ state, root, run }) => state !== "open" && (root ?? run) !== null);
  const costs = [...groupBy(counted, ({ root }) => root)]
    .map(([run, some]) => ({ run, usd: byHand(some).usd }))
    .sort((a, b) => b.usd - a.usd);
  const whole = costs.reduce((sum, { usd }) => sum + usd, 0);
  const report = await readConcentration(fresh.db, asked({ limit: 4 }));
  expect(report).toMatchObject({ runs: costs.length, isComplete: true });
  expect(report.usd).toBeCloseTo(whole, 9);
  for (const { percent, runs, part } of report.shares) {
    expect(runs).toBe(Math.ceil((costs.length * percent) / 100));
    const share = costs.slice(0, runs).reduce((sum, { usd }) => sum + usd, 0) / whole;
    expect(part).toBeCloseTo(share, 5);
  }
  expect(report.top.map(({ runId }) => runId)).toEqual(costs.slice(0, 4).map(({ run }) => run));
  expect(report.top[0]).toMatchObject({ tenant: "acme", agent: "lead", outputTokens: 2 * (report.top[0]?.calls ?? 0) });
  expect((await readConcentration(fresh.db, asked({ tenant: "nobody" }))).runs).toBe(0);
});

function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
