// Statements that add up what model calls cost. They look at the newest calls of a time, and at no more than a bounded number.
import type {
  ConcentrationReport,
  CostFigures,
  CostGroup,
  CostLine,
  CostReport,
  Percentiles,
} from "../domain/costs.ts";
import { CONCENTRATION_PERCENTS } from "../domain/costs.ts";
import { toUsd } from "../domain/usage.ts";
import type { Queryable } from "./database.ts";

export interface CostQuestion {
  /** Null: all tenants. */
  readonly tenant: string | null;
  readonly since: Date;
  readonly until: Date;
  /** Calls looked at, and lines given, at most. */
  readonly callsMax: number;
  readonly limit: number;
}

/** The name of a step in the agent's code, without the branches it lies in and what tells its repeats apart (domain/step-key.ts). */
const STEP = String.raw`coalesce(c.agent || ': ', '') || regexp_replace(c.step_key, '^(?:.*/)?([^/@#]+)(?:@[^/@#]*)?#\d+$', '\1')`;

const KEYS: Readonly<Record<CostGroup, string>> = {
  tenant: "c.tenant_id",
  agent: "c.agent",
  feature: "c.feature",
  model: "c.provider || '/' || c.model",
  provider: "c.provider",
  step: STEP,
  run: "coalesce(c.run_id, c.root_id)::text",
  day: "to_char(c.opened_at at time zone 'UTC', 'YYYY-MM-DD')",
};

/**
 * The newest calls of a time. Of all tenants they are found by their ids, which begin with their time: some seconds of slack, since
 * whoever made an id has another clock than the database.
 */
function callsOf(tenant: string | null): string {
  const inTime = "c.opened_at >= $1 and c.opened_at < $2 and c.state <> 'open'";
  const newest = "order by c.opened_at desc limit $3";
  if (tenant !== null) return `select c.* from longhaul.calls c where c.tenant_id = $4 and ${inTime} ${newest}`;
  const idAt = (moment: string): string =>
    `(select (substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-0000-0000-000000000000')::uuid
        from lpad(to_hex((extract(epoch from ${moment}) * 1000)::bigint), 12, '0') h)`;
  return `select c.* from longhaul.calls c
    where c.call_id >= ${idAt("$1::timestamptz - interval '1 minute'")} and c.call_id < ${idAt("$2::timestamptz + interval '1 minute'")}
      and ${inTime} and $4::text is null order by c.call_id desc limit $3`;
}

const FIGURES = `count(*)::bigint as calls,
  count(*) filter (where s.state in ('failed', 'abandoned'))::bigint as failed,
  count(*) filter (where s.source = 'cache')::bigint as cached,
  count(*) filter (where s.source = 'coalesced')::bigint as coalesced,
  coalesce(sum(s.input_tokens), 0)::bigint as input_tokens, coalesce(sum(s.output_tokens), 0)::bigint as output_tokens,
  coalesce(sum(s.cache_read_tokens), 0)::bigint as cache_read_tokens, coalesce(sum(s.cache_write_tokens), 0)::bigint as cache_write_tokens,
  coalesce(sum(s.reasoning_tokens), 0)::bigint as reasoning_tokens, coalesce(sum(s.nano_usd), 0)::text as nano_usd,
  count(*) filter (where s.price_confidence = 'unknown')::bigint as unpriced,
  percentile_disc(array[0.5, 0.95]) within group (order by s.latency_ms) filter (where s.state = 'succeeded' and s.source = 'provider') as latency,
  percentile_disc(array[0.5, 0.95]) within group (order by s.first_chunk_ms)
    filter (where s.state = 'succeeded' and s.source = 'provider' and s.first_chunk_ms is not null) as first_chunk`;

interface FiguresRow {
  readonly key: string | null;
  /** 1 in the line of all. */
  readonly whole: number;
  readonly calls: number;
  readonly failed: number;
  readonly cached: number;
  readonly coalesced: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly cache_read_tokens: number;
  readonly cache_write_tokens: number;
  readonly reasoning_tokens: number;
  readonly nano_usd: string;
  readonly unpriced: number;
  readonly latency: (number | null)[] | null;
  readonly first_chunk: (number | null)[] | null;
  readonly lines: number;
}

/** What calls cost, line by line. */
export async function readCosts(db: Queryable, by: CostGroup, question: CostQuestion): Promise<CostReport> {
  const { tenant, since, until, callsMax, limit } = question;
  const order = by === "day" ? "l.key desc" : "l.nano_usd::numeric desc, l.calls desc, l.key";
  const rows = await db.query<FiguresRow>(
    `with s as materialized (
       select ${KEYS[by]} as key, c.state, c.source, c.input_tokens, c.output_tokens, c.cache_read_tokens, c.cache_write_tokens,
              c.reasoning_tokens, c.nano_usd, c.price_confidence, c.latency_ms, c.first_chunk_ms
         from (${callsOf(tenant)}) c
     ), l as (
       select s.key, grouping(s.key) as whole, ${FIGURES} from s group by grouping sets ((s.key), ())
     ), n as (
       select l.*, row_number() over (partition by l.whole order by ${order}) as place, count(*) over (partition by l.whole)::int as lines from l
     ) select * from n where n.place <= $5 order by n.whole desc, n.place`,
    [since, until, callsMax, tenant, limit],
  );
  const [total, ...lines] = rows;
  const shown = lines.map(
    (row): CostLine => ({ key: by === "step" ? unescaped(row.key) : row.key, ...figuresOf(row) }),
  );
  return {
    by,
    since: since.toISOString(),
    until: until.toISOString(),
    lines: by === "day" ? shown.reverse() : shown,
    total: figuresOf(total as FiguresRow),
    more: Math.max(0, (lines[0]?.lines ?? 0) - lines.length),
    isComplete: (total?.calls ?? 0) < callsMax,
  };
}

/** Characters that join names in a key are escaped in the names. */
function unescaped(key: string | null): string | null {
  return key?.replace(/%(25|2f|23|40)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))) ?? null;
}

interface ConcentrationRow {
  readonly runs: number;
  readonly calls: number;
  readonly nano_usd: string;
  readonly parts: readonly { readonly percent: number; readonly runs: number; readonly nano: string }[];
  readonly top: readonly TopRow[];
}

interface TopRow {
  readonly run_id: string;
  readonly tenant_id: string;
  readonly agent: string | null;
  readonly calls: number;
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly nano_usd: string;
}

/** How much of the cost the most expensive runs have. Calls of no run are not in it. */
export async function readConcentration(db: Queryable, question: CostQuestion): Promise<ConcentrationReport> {
  const { tenant, since, until, callsMax, limit } = question;
  const [row] = await db.query<ConcentrationRow>(
    `with s as materialized (${callsOf(tenant)}), r as materialized (
       select coalesce(s.root_id, s.run_id) as run_id, min(s.tenant_id) as tenant_id,
              coalesce(min(s.agent) filter (where s.run_id = s.root_id), min(s.agent)) as agent, count(*)::bigint as calls,
              sum(s.input_tokens)::bigint as input_tokens, sum(s.output_tokens)::bigint as output_tokens, sum(s.nano_usd) as nano_usd
         from s where coalesce(s.root_id, s.run_id) is not null group by 1
     ), ranked as (
       select r.*, row_number() over (order by r.nano_usd desc, r.run_id) as place, count(*) over () as runs from r
     )
     select (select count(*) from r)::bigint as runs, (select count(*) from s)::bigint as calls,
            coalesce((select sum(r.nano_usd) from r), 0)::text as nano_usd,
            (select json_agg(json_build_object('percent', p.percent, 'runs', x.n, 'nano', x.nano::text) order by p.percent)
               from unnest($5::int[]) p(percent) cross join lateral (
                 select count(*) as n, coalesce(sum(k.nano_usd), 0) as nano from ranked k where k.place <= ceil(k.runs * p.percent / 100.0)) x) as parts,
            coalesce((select json_agg(json_build_object('run_id', k.run_id, 'tenant_id', k.tenant_id, 'agent', k.agent, 'calls', k.calls,
               'input_tokens', k.input_tokens, 'output_tokens', k.output_tokens, 'nano_usd', k.nano_usd::text) order by k.place)
               from ranked k where k.place <= $6), '[]') as top`,
    [since, until, callsMax, tenant, [...CONCENTRATION_PERCENTS], limit],
  );
  const { runs, calls, nano_usd: nano, parts, top } = row as ConcentrationRow;
  const whole = BigInt(nano);
  return {
    since: since.toISOString(),
    until: until.toISOString(),
    runs,
    usd: toUsd(whole),
    shares: parts.map((part) => ({
      percent: part.percent,
      runs: part.runs,
      part: whole === 0n ? 0 : Number((BigInt(part.nano) * 1_000_000n) / whole) / 1_000_000,
    })),
    top: top.map((one) => ({
      runId: one.run_id,
      tenant: one.tenant_id,
      agent: one.agent,
      calls: one.calls,
      inputTokens: one.input_tokens,
      outputTokens: one.output_tokens,
      usd: toUsd(BigInt(one.nano_usd)),
    })),
    isComplete: calls < callsMax,
  };
}

function figuresOf(row: FiguresRow): CostFigures {
  const { calls, failed, cached, coalesced, unpriced } = row;
  return {
    calls,
    failed,
    cached,
    coalesced,
    inputTokens: row.input_tokens,
    outputTokens: row.output_tokens,
    cacheReadTokens: row.cache_read_tokens,
    cacheWriteTokens: row.cache_write_tokens,
    reasoningTokens: row.reasoning_tokens,
    usd: toUsd(BigInt(row.nano_usd)),
    unpriced,
    latencyMs: percentiles(row.latency),
    firstChunkMs: percentiles(row.first_chunk),
  };
}

function percentiles(values: readonly (number | null)[] | null): Percentiles | null {
  const [p50, p95] = values ?? [];
  return typeof p50 === "number" && typeof p95 === "number" ? { p50, p95 } : null;
}
