// Statements for quotas: one asks for a call, one tells what became of calls, the others keep the account true.
import type { Queryable } from "./database.ts";
import { isRetryable } from "./driver-errors.ts";

/** A quota as the configuration says it. */
export interface DeclaredQuota {
  readonly key: string;
  readonly kind: "rate" | "window" | "slots";
  readonly limit: number;
  /** rate: what one unit costs; slots: how often a call is thought to end, before that is known. In milliseconds. */
  readonly emission: number;
  /** rate: how much may go at once, in milliseconds. */
  readonly burst: number;
  /** window: where the day begins. */
  readonly zone: string | null;
}

export interface QuotaAsk {
  readonly callKey: string;
  readonly target: string;
  readonly keys: readonly string[];
  /** How much of each key. */
  readonly amounts: readonly number[];
  /** How many of the keys were declared. */
  readonly declared: number;
  /** Whether to take a place in the line when it cannot go. */
  readonly book: boolean;
  /** Names the slots that it takes. */
  readonly holder: string;
  readonly slotMs: number;
  readonly horizonMs: number;
  /** Whether to bring along which targets are sick. */
  readonly news: boolean;
}

export interface QuotaAnswerRow {
  readonly verdict: "go" | "wait" | "impossible" | "missing";
  /** On the database's clock: of `go` now, of `wait` when to come back. */
  readonly ready_at: number | null;
  readonly wait_ms: number | null;
  /** The quota because of which it cannot go. */
  readonly key: string | null;
  readonly limit_: number | null;
  /** Null: it was not asked for. */
  readonly sick: readonly SickTarget[] | null;
}

/** A target whose circuit is open: nobody need ask before `until`. */
export interface SickTarget {
  readonly target: string;
  readonly until: number;
}

/** What became of calls since it was last told. */
export interface Told {
  /** More (or less) was used than counted, by a call that went at that moment. */
  readonly costs?: readonly { readonly key: string; readonly delta: number; readonly gone: number }[];
  readonly slots?: readonly { readonly key: string; readonly holder: string; readonly held: number | null }[];
  readonly paces?: readonly {
    readonly key: string;
    readonly limit: number;
    readonly emission: number;
    readonly burst: number;
  }[];
  /** The least that a provider said is left. */
  readonly left?: readonly { readonly key: string; readonly left: number }[];
  readonly outcomes?: readonly OutcomeCount[];
}

/** How the calls of one target ended, and what is too bad. */
export interface OutcomeCount {
  readonly target: string;
  readonly succeeded: number;
  readonly failed: number;
  /** Milliseconds over which it is counted. */
  readonly window: number;
  readonly least: number;
  readonly rate: number;
  /** Milliseconds for which a circuit opens. */
  readonly open: number;
}

/** Times that a statement is sent when the database rolled it back for the sake of another. */
const TRIES_MAX = 5;

const RESERVE = `select a.*, case when $14 then coalesce(longhaul.sick_targets(), '[]') end as sick
  from longhaul.reserve_quota($1, $2, $3::text[], $4::float8[], $5, $6, $7::uuid, $8::float8, $9::float8,
    $10::text[], $11::float8[], $12::float8[], $13::jsonb) a`;

/** Lets one call go, or says when. */
async function reserveQuota(db: Queryable, ask: QuotaAsk, told: Told | null): Promise<QuotaAnswerRow> {
  // What concerns the same rows goes into the same update of them.
  const own = told?.costs?.filter(({ key }) => ask.keys.includes(key)) ?? [];
  const rest = told === null ? null : withoutCosts(told, own);
  const values = [
    ...[ask.callKey, ask.target, ask.keys, ask.amounts, ask.declared, ask.book, ask.holder, ask.slotMs, ask.horizonMs],
    own.length === 0 ? null : own.map(({ key }) => key),
    own.length === 0 ? null : own.map(({ delta }) => delta),
    own.length === 0 ? null : own.map(({ gone }) => gone),
    rest === null ? null : JSON.stringify(rest),
    ask.news,
  ];
  const [row] = await repeated(() => db.query<QuotaAnswerRow>(RESERVE, values, "lh_reserve_quota"));
  if (row === undefined) throw new Error("reserve_quota gave no row");
  return row;
}

const RESERVE_ALL = `select a.verdict, a.ready_at, a.wait_ms, a.key, a.limit_, case when $5 and a.place = 1 then coalesce(longhaul.sick_targets(), '[]') end as sick
  from longhaul.reserve_quotas($1::jsonb, $2::float8, $3::float8, $4::jsonb) with ordinality a(verdict, ready_at, wait_ms, key, limit_, place) order by a.place`;

/** The same for calls that ask at the same moment: one commit. Answers in their order; the first brings the news. */
export async function reserveQuotas(
  db: Queryable,
  [first, ...others]: readonly [QuotaAsk, ...QuotaAsk[]],
  told: Told | null,
): Promise<QuotaAnswerRow[]> {
  if (others.length === 0) return [await reserveQuota(db, first, told)];
  const asks = [first, ...others].map(({ callKey: call, target, keys, amounts, declared, book, holder }) => ({
    call,
    target,
    keys,
    amounts,
    declared,
    book,
    holder,
  }));
  const { slotMs, horizonMs, news } = first;
  const values = [JSON.stringify(asks), slotMs, horizonMs, told === null ? null : JSON.stringify(told), news];
  const rows = await repeated(() => db.query<QuotaAnswerRow>(RESERVE_ALL, values, "lh_reserve_quotas"));
  if (rows.length !== asks.length) throw new Error("reserve_quotas gave not as many rows as were asked for");
  return rows;
}

function withoutCosts(told: Told, gone: readonly unknown[]): Told | null {
  const { costs = [], ...others } = told;
  const left = costs.filter((cost) => !gone.includes(cost));
  if (left.length > 0) return { ...others, costs: left };
  return Object.keys(others).length === 0 ? null : others;
}

/** Tells what became of calls. Answers the targets whose circuits are open. */
export async function settleQuotas(db: Queryable, told: Told): Promise<readonly SickTarget[]> {
  const text = "select longhaul.settle_quotas($1::jsonb, '{}'), longhaul.sick_targets() as sick";
  const [row] = await repeated(() =>
    db.query<{ sick: SickTarget[] | null }>(text, [JSON.stringify(told)], "lh_settle_quotas"),
  );
  return row?.sick ?? [];
}

/** Makes quotas known, with the limits that they have from now on. */
export async function declareQuotas(db: Queryable, quotas: readonly DeclaredQuota[], slotMs: number): Promise<void> {
  const text = "select longhaul.declare_quotas($1::jsonb, $2::float8)";
  await repeated(() => db.query(text, [JSON.stringify(quotas), slotMs], "lh_declare_quotas"));
}

/** Keeps everybody from what this key stands for, for so long. */
export async function blockQuota(db: Queryable, key: string, forMs: number): Promise<void> {
  await repeated(() => db.query("select longhaul.block_quota($1, $2::float8)", [key, forMs], "lh_block_quota"));
}

/** One place in the line of a target; one that the call takes there later is another. */
export interface QuotaPlace {
  readonly call: string;
  readonly target: string;
  /** As `reserve_quota` said it. */
  readonly ready: number;
}

/** Gives up places: their calls will not be made there. */
export async function cancelPlaces(db: Queryable, places: readonly QuotaPlace[]): Promise<void> {
  const values = [JSON.stringify(places)];
  await repeated(() => db.query("select longhaul.cancel_places($1::jsonb)", values, "lh_cancel_places"));
}

/** Whether there is room, and when; books nothing. */
export async function quotaHeadroom(
  db: Queryable,
  keys: readonly string[],
  amounts: readonly number[],
  declared: number,
): Promise<Omit<QuotaAnswerRow, "sick">> {
  const text = "select * from longhaul.quota_headroom($1::text[], $2::float8[], $3)";
  const [row] = await db.query<Omit<QuotaAnswerRow, "sick">>(text, [keys, amounts, declared], "lh_quota_headroom");
  if (row === undefined) throw new Error("quota_headroom gave no row");
  return row;
}

/** Says that the calls that hold these slots are still in flight. */
export async function renewSlots(
  db: Queryable,
  slots: readonly { readonly key: string; readonly holder: string }[],
  slotMs: number,
): Promise<void> {
  const values = [JSON.stringify(slots), slotMs];
  await repeated(() => db.query("select longhaul.renew_slots($1::jsonb, $2::float8)", values, "lh_renew_slots"));
}

/** Clears away places, slots and limits that nobody comes back for. Answers how many places. */
export async function forgetQuotas(db: Queryable): Promise<number> {
  const [row] = await repeated(() => db.query<{ forget_quotas: number }>("select longhaul.forget_quotas()"));
  return row?.forget_quotas ?? 0;
}

/** These transactions are short and sorted: one that had to wait too long for a lock, or lost to another, goes again. */
async function repeated<T>(send: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await send();
    } catch (error) {
      if (tries === TRIES_MAX || !isRetryable(error)) throw error;
    }
  }
}
