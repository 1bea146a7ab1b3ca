// Statements about model calls: opening one before it goes out, saying what became of it, and the holds that runs spend from.
import type { BudgetDimension } from "../domain/budget.ts";
import type { CallFacts, CallOutcome } from "../domain/calls.ts";
import type { Refusal } from "../domain/exceeded.ts";
import { NANO_PER_USD, type Spend } from "../domain/usage.ts";
import { itemJson, type NewItem } from "./batches.ts";
import type { Queryable } from "./database.ts";
import { readSpend, spendValue, whole, wholeNano } from "./spend.ts";

/** A call with its id: made by the caller, so that a repeat after an unknown commit finds the first try. */
export interface NewCall extends CallFacts {
  readonly callId: string;
  /** What begins to wait with it, in the same commit: the call then belongs to no claim, and outlives the sleep of its run. */
  readonly item?: NewItem;
}

/** Who pays: a run, in the hands of the worker that asks. */
export interface RunPayer {
  readonly runId: string;
  readonly epoch: number;
  readonly workerId: string;
}

/** What a run asks of the budgets above it. */
export interface Draw {
  /** What its hold lacks; with `first`, all that it needs. */
  readonly need: Spend;
  /** What it takes where there is plenty. */
  readonly want: Spend;
  /** It does not know what it holds: the answer says what it has left. */
  readonly first: boolean;
  /** The budget that has just refused it: it gives back what it does not use, and what others have spent is counted, first. */
  readonly blocker: string | null;
  /** What it has reserved and not yet opened: not to be given back. */
  readonly keep: Spend;
}

export type Drawn =
  | {
      readonly verdict: "done";
      readonly granted: Spend;
      /** What the run has left to spend; only for a first draw. */
      readonly room: Spend | null;
      /** There is not much left: what is not needed soon should go back. */
      readonly tight: boolean;
    }
  | { readonly verdict: "refused"; readonly refusal: Refusal }
  /** The run is somebody else's, or there is no such budget. */
  | { readonly verdict: "lost" };

/** What became of a call. */
export interface Closing {
  readonly callId: string;
  /** `withdrawn`: it never went out, and its row goes. Only for calls outside of runs. */
  readonly state: "succeeded" | "failed" | "withdrawn";
  readonly failure: string | null;
  readonly outcome: CallOutcome;
  /** A call that was never opened: it is written and closed in one. */
  readonly fresh?: NewCall;
}

/** Whose call it was, for a closing outside of the run's own append. */
export interface Account {
  /** A run or an open budget; null for neither. */
  readonly accountId: string | null;
  /** The run's, when the call was opened. */
  readonly epoch: number | null;
}

const DRAWN = `d.verdict, d.granted::text, d.room::text, d.tight, d.budget_id, d.dimension, d.allowed::text, d.used::text, d.set_aside::text, d.asked::text,
  d.on_exceeded, d.final`;
const OPEN_CALL = `select ${DRAWN} from longhaul.open_call($1::jsonb, $2, $3, $4, $5::longhaul.spend, $6::longhaul.spend, $7, $8, $9::longhaul.spend) d`;
const OPEN_CALLS = `select ${DRAWN} from longhaul.open_outside($1::jsonb, $2::text[]::longhaul.spend[], $3) d`;
const OPEN_ITEM = `select ${DRAWN} from longhaul.open_item($1::jsonb, $2, $3, $4, $5::longhaul.spend, $6::longhaul.spend, $7, $8, $9::longhaul.spend, $10::jsonb) d`;
const TAKE_HOLD = `select ${DRAWN} from longhaul.take_hold($1, $2, $3, $4::longhaul.spend, $5::longhaul.spend, $6, $7, $8::longhaul.spend) d`;

interface DrawnRow {
  readonly verdict: "done" | "refused" | "lost";
  readonly granted: string;
  readonly room: string | null;
  readonly tight: boolean;
  readonly budget_id: string;
  readonly dimension: BudgetDimension;
  readonly allowed: string;
  readonly used: string;
  readonly set_aside: string;
  readonly asked: string;
  readonly on_exceeded: "fail" | "ask";
  readonly final: boolean;
}

/** Opens a run's call, before it goes out, and draws what its estimate needs: one commit. Safe to repeat. */
export async function openRunCall(db: Queryable, payer: RunPayer, call: NewCall, draw: Draw): Promise<Drawn> {
  const values = [callJson(call), payer.runId, payer.workerId, payer.epoch, ...drawValues(draw)];
  if (call.item === undefined) return drawn(await db.query<DrawnRow>(OPEN_CALL, values, "lh_open_call"));
  return drawn(await db.query<DrawnRow>(OPEN_ITEM, [...values, itemJson(call.item)], "lh_open_item"));
}

/** A call of a run, in the hands of a worker, that needs nothing more from a budget. */
export interface Opening {
  readonly runId: string;
  readonly epoch: number;
  readonly call: NewCall;
  /** The first of this claim: what earlier ones left open is abandoned. */
  readonly first: boolean;
}

/**
 * Opens calls of many runs of one worker, before they go out, in one commit; answers for each whether it is open: it is not when the run is
 * somebody else's. Safe to repeat.
 */
export async function openRunCalls(db: Queryable, workerId: string, openings: readonly Opening[]): Promise<boolean[]> {
  const rows = await db.query<{ place: number }>(
    "select place from longhaul.open_calls($1, $2::uuid[], $3::int[], $4::boolean[], $5::jsonb)",
    [
      workerId,
      openings.map(({ runId }) => runId),
      openings.map(({ epoch }) => epoch),
      openings.map(({ first }) => first),
      JSON.stringify(openings.map(({ call }) => callRow(call))),
    ],
    "lh_open_calls",
  );
  const open = new Set(rows.map(({ place }) => place));
  return openings.map((_, i) => open.has(i + 1));
}

/** Draws for a run without a call: for its steps. */
export async function takeHold(db: Queryable, payer: RunPayer, draw: Draw): Promise<Drawn> {
  const values = [payer.runId, payer.workerId, payer.epoch, ...drawValues(draw)];
  return drawn(await db.query<DrawnRow>(TAKE_HOLD, values, "lh_take_hold"));
}

/** Gives back what the run does not use, except `keep`. False when the run is somebody else's. */
export async function returnHold(db: Queryable, payer: RunPayer, keep: Spend): Promise<boolean> {
  const [row] = await db.query<{ kept: boolean }>(
    "select longhaul.return_hold($1, $2, $3, $4::longhaul.spend) as kept",
    [payer.runId, payer.workerId, payer.epoch, spendValue(keep)],
    "lh_return_hold",
  );
  return row?.kept ?? false;
}

/**
 * Opens calls outside of runs, all of one budget (POST /v1/budgets) or of none, in one commit: each draws exactly its estimate, or is
 * refused by itself. `lost` when there is no such budget. Safe to repeat. Answers in the order of the calls.
 */
export async function openCalls(db: Queryable, calls: readonly NewCall[], budgetId: string | null): Promise<Drawn[]> {
  const needs = calls.map(({ estimate }) => spendValue({ ...estimate, steps: 0 }));
  const values = [JSON.stringify(calls.map(callRow)), needs, budgetId];
  return (await db.query<DrawnRow>(OPEN_CALLS, values, "lh_open_calls_outside")).map((row) => drawn([row]));
}

/**
 * Says what became of calls, in a statement of its own: outside of runs, and attempts that failed. A call that was closed before, and one
 * of a run that is in other hands by now, stay as they are. What is drawn on open budgets goes back. Answers how many were closed.
 */
export async function closeCalls(db: Queryable, closings: readonly (Closing & Account)[]): Promise<number> {
  if (closings.length === 0) return 0;
  const rows = closings.map((c) => ({ account_id: c.accountId, epoch: c.epoch, ...closingRow(c) }));
  const [row] = await db.query<{ closed: number }>(
    "select longhaul.close_apart($1::jsonb) as closed",
    [JSON.stringify(rows)],
    "lh_close_calls",
  );
  return row?.closed ?? 0;
}

/** Calls from outside of runs that nobody closed for so long: charged at their estimates. Answers how many. */
export async function abandonCalls(db: Queryable, ageMs: number, limit: number): Promise<number> {
  const [row] = await db.query<{ n: number }>(
    "select longhaul.abandon_outside($1 * interval '1 millisecond', $2) as n",
    [ageMs, limit],
    "lh_abandon_calls",
  );
  return row?.n ?? 0;
}

/** Closings of many runs, as their common append takes them. */
export function runClosingsJson(
  runs: readonly { readonly runId: string; readonly epoch: number; readonly spend?: readonly Closing[] }[],
): string {
  return JSON.stringify(
    runs.flatMap(({ runId, epoch, spend = [] }) => spend.map((c) => ({ run_id: runId, epoch, ...closingRow(c) }))),
  );
}

/** Closings as the append of a step takes them. */
export function closingsJson(closings: readonly Closing[]): string {
  return JSON.stringify(closings.map(closingRow));
}

function drawValues({ need, want, first, blocker, keep }: Draw): unknown[] {
  return [spendValue(need), spendValue(want), first, blocker, spendValue(keep)];
}

function drawn([row]: readonly DrawnRow[]): Drawn {
  if (row === undefined || row.verdict === "lost") return { verdict: "lost" };
  if (row.verdict === "refused") return { verdict: "refused", refusal: refusalOf(row) };
  const room = row.room === null ? null : readSpend(row.room);
  return { verdict: "done", granted: readSpend(row.granted), room, tight: row.tight };
}

const MINUTE_MS = 60_000;

/** In the dimension's own unit. */
function refusalOf(row: DrawnRow): Refusal {
  const { budget_id: budgetId, dimension, on_exceeded: onExceeded, final } = row;
  const unit = dimension === "usd" ? NANO_PER_USD : dimension === "wallMinutes" ? MINUTE_MS : 1;
  const figure = (text: string): number => Number(text) / unit;
  const asked = dimension === "wallMinutes" ? 0 : figure(row.asked);
  const spent = dimension === "wallMinutes" ? Math.round(figure(row.used) * 100) / 100 : figure(row.used);
  return {
    budgetId,
    dimension,
    limit: figure(row.allowed),
    spent,
    held: figure(row.set_aside),
    asked,
    onExceeded,
    final,
  };
}

function callJson(call: NewCall): string {
  return JSON.stringify(callRow(call));
}

function callRow({ callId, callKey, attribution, alias, provider, model, attempt, estimate }: NewCall): object {
  return {
    call_id: callId,
    call_key: callKey,
    run_id: attribution.runId,
    root_id: attribution.rootId,
    tenant_id: attribution.tenant,
    step_key: attribution.step,
    agent: attribution.agent,
    feature: attribution.feature,
    alias,
    provider,
    model,
    attempt: Math.min(attempt, 32_767),
    est_input: whole(estimate.inputTokens),
    est_output: whole(estimate.outputTokens),
    est_nano_usd: wholeNano(estimate.nanoUsd),
  };
}

function closingRow({ callId, state, failure, outcome, fresh }: Closing): object {
  const { usage } = outcome;
  return {
    call_id: callId,
    state,
    failure: state === "failed" ? (failure ?? "unknown") : null,
    input_tokens: whole(usage.inputTokens),
    output_tokens: whole(usage.outputTokens),
    cache_read_tokens: whole(usage.cacheReadTokens),
    cache_write_tokens: whole(usage.cacheWriteTokens),
    reasoning_tokens: whole(usage.reasoningTokens),
    nano_usd: wholeNano(outcome.nanoUsd),
    price_confidence: outcome.confidence,
    source: outcome.source,
    latency_ms: wholeMs(outcome.latencyMs),
    first_chunk_ms: outcome.firstChunkMs === null ? null : wholeMs(outcome.firstChunkMs),
    ...(fresh === undefined ? {} : { fresh: callRow(fresh) }),
  };
}

function wholeMs(ms: number): number {
  return Math.min(whole(ms), 2_147_483_647);
}
