// Statements about items that wait to be answered together, and the batches that take them.
import type { PriceConfidence } from "../domain/calls.ts";
import type { NanoUsd, Spend, TokenUsage } from "../domain/usage.ts";
import type { Queryable } from "./database.ts";
import { whole, wholeNano } from "./spend.ts";

export interface NewItem {
  readonly itemId: string;
  readonly runId: string;
  readonly tenant: string;
  /** What is flushed alike. */
  readonly batcher: string;
  readonly payload: string;
  /** How long it may wait for others, in milliseconds. */
  readonly delayMs: number;
  /** After so long nobody answers it but its run; null: never. */
  readonly deadlineMs: number | null;
  readonly estimate: Spend;
}

export interface TakenItem {
  readonly item_id: string;
  readonly run_id: string;
  readonly tenant_id: string;
  readonly payload: string;
  readonly tries: number;
  readonly lost: number;
  readonly deadline_at: Date | null;
}

/** `live`: no batch answers it, its run asks by itself. */
export type SettledState = "done" | "failed" | "live";

export interface ItemResult {
  readonly itemId: string;
  /** `waiting`: it goes back, after `delayMs`, to be `alone` from then on. */
  readonly state: SettledState | "waiting";
  /** Encoded: the value, or the failure. */
  readonly answer: string | null;
  readonly usage: TokenUsage;
  readonly nanoUsd: NanoUsd;
  readonly confidence: PriceConfidence | null;
  readonly alone?: boolean;
  readonly delayMs?: number;
}

/** What a run reads of its item. */
export interface ItemView {
  readonly itemId: string;
  readonly batcher: string;
  readonly state: "waiting" | "taken" | SettledState;
  readonly answer: string | null;
  readonly usage: TokenUsage;
  readonly nanoUsd: NanoUsd;
  readonly confidence: PriceConfidence | null;
  readonly estimate: Spend;
}

export function itemJson(item: NewItem): string {
  const { estimate } = item;
  return JSON.stringify({
    item_id: item.itemId,
    run_id: item.runId,
    tenant_id: item.tenant,
    batcher: item.batcher,
    payload: item.payload,
    delay_ms: item.delayMs,
    deadline_ms: item.deadlineMs,
    est_input: whole(estimate.inputTokens),
    est_output: whole(estimate.outputTokens),
    est_nano_usd: wholeNano(estimate.nanoUsd),
  });
}

/** An item that costs nothing begins to wait. Safe to repeat. */
export async function enterItem(db: Queryable, item: NewItem): Promise<void> {
  await db.query("select longhaul.enter_item($1::jsonb)", [itemJson(item)], "lh_enter_item");
}

/** Takes items that are due, or with a tenant its items whether due or not; none when there are none. */
export function takeBatch(
  db: Queryable,
  batch: {
    readonly batchId: string;
    readonly batcher: string;
    readonly tenant: string | null;
    readonly itemsMax: number;
    readonly bytesMax: number;
    readonly leaseMs: number;
  },
): Promise<TakenItem[]> {
  const { batchId, batcher, tenant, itemsMax, bytesMax, leaseMs } = batch;
  const text = "select * from longhaul.take_batch($1::uuid, $2, $3, $4, $5::bigint, $6::float8)";
  return db.query<TakenItem>(text, [batchId, batcher, tenant, itemsMax, bytesMax, leaseMs], "lh_take_batch");
}

/** From here on it may have been paid for. False: it is somebody else's by now. */
export async function markSent(db: Queryable, batchId: string, leaseMs: number): Promise<boolean> {
  const rows = await db.query(
    `update longhaul.batches set state = 'sent', lease_until = clock_timestamp() + $2::float8 * interval '1 millisecond'
      where batch_id = $1::uuid and state <> 'closed' returning 1`,
    [batchId, leaseMs],
    "lh_mark_sent",
  );
  return rows.length > 0;
}

/** Says that those who hold these batches still live. */
export async function renewBatches(db: Queryable, batchIds: readonly string[], leaseMs: number): Promise<void> {
  await db.query(
    `update longhaul.batches set lease_until = clock_timestamp() + $2::float8 * interval '1 millisecond'
      where batch_id = any($1::uuid[]) and state <> 'closed'`,
    [batchIds, leaseMs],
    "lh_renew_batches",
  );
}

/** Answers the runs that slept for an item and are told; null when the batch is somebody else's by now, and nothing was written. */
export async function settleBatch(
  db: Queryable,
  batchId: string,
  results: readonly ItemResult[],
): Promise<string[] | null> {
  const rows = results.map(({ itemId, state, answer, usage, nanoUsd, confidence, alone = false, delayMs = 0 }) => ({
    item_id: itemId,
    state,
    answer,
    alone,
    delay_ms: delayMs,
    price_confidence: confidence,
    input_tokens: whole(usage.inputTokens),
    output_tokens: whole(usage.outputTokens),
    cache_read_tokens: whole(usage.cacheReadTokens),
    cache_write_tokens: whole(usage.cacheWriteTokens),
    reasoning_tokens: whole(usage.reasoningTokens),
    nano_usd: wholeNano(nanoUsd),
  }));
  const text = "select longhaul.settle_batch($1::uuid, $2::jsonb) as told";
  const [row] = await db.query<{ told: string[] | null }>(text, [batchId, JSON.stringify(rows)], "lh_settle_batch");
  return row?.told ?? null;
}

/** Takes from the dead what they held; `lost` is the failure of what has been lost too often. Answers batchers with items that are due. */
export async function lookAfterBatches(
  db: Queryable,
  batchers: readonly string[],
  lost: string,
): Promise<{ due: string[]; told: string[] }> {
  const text = "select due, told from longhaul.look_after_batches($1::text[], $2, 100)";
  const [row] = await db.query<{ due: string[]; told: string[] }>(text, [batchers, lost], "lh_look_after_batches");
  return row ?? { due: [], told: [] };
}

/** Its run is about to sleep, and wants to be told. False: it is settled, or was never there. */
export async function parkItem(db: Queryable, itemId: string): Promise<boolean> {
  const rows = await db.query(
    "update longhaul.batch_items set parked = true where item_id = $1::uuid and state in ('waiting', 'taken') returning 1",
    [itemId],
    "lh_park_item",
  );
  return rows.length > 0;
}

interface ItemRow {
  readonly item_id: string;
  readonly batcher: string;
  readonly state: ItemView["state"];
  readonly answer: string | null;
  readonly figures: string[];
  readonly price_confidence: PriceConfidence | null;
}

const FIGURES = `array[input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, nano_usd, est_input, est_output, est_nano_usd]::text[] as figures`;

/** How items stand; those that are not there are left out. */
export async function readItems(db: Queryable, itemIds: readonly string[], settledOnly: boolean): Promise<ItemView[]> {
  const rows = await db.query<ItemRow>(
    `select item_id, batcher, state, answer, price_confidence, ${FIGURES} from longhaul.batch_items
      where item_id = any($1::uuid[]) and (not $2 or state in ('done', 'failed', 'live'))`,
    [itemIds, settledOnly],
    "lh_read_items",
  );
  return rows.map(viewOf);
}

function viewOf({ item_id, batcher, state, answer, figures, price_confidence }: ItemRow): ItemView {
  const [input, output, cacheRead, cacheWrite, reasoning, nano, estInput, estOutput, estNano] = figures;
  return {
    itemId: item_id,
    batcher,
    state,
    answer,
    confidence: price_confidence,
    usage: {
      inputTokens: Number(input),
      outputTokens: Number(output),
      cacheReadTokens: Number(cacheRead),
      cacheWriteTokens: Number(cacheWrite),
      reasoningTokens: Number(reasoning),
    },
    nanoUsd: BigInt(nano ?? 0),
    estimate: {
      inputTokens: Number(estInput),
      outputTokens: Number(estOutput),
      nanoUsd: BigInt(estNano ?? 0),
      steps: 0,
    },
  };
}

/** Drops items of runs that have ended, from one age on. Answers where to go on; null: that was all. */
export async function forgetBatches(db: Queryable, after: Date | null, limit: number): Promise<Date | null> {
  const text = "select longhaul.forget_batches($1::timestamptz, $2) as next";
  const [row] = await db.query<{ next: Date | null }>(text, [after, limit]);
  return row?.next ?? null;
}
