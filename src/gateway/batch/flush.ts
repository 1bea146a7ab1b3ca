// One batch from its taking to its settling: the request is made once, its cost is divided, and every item ends by itself.
import type { LanguageModelV3CallOptions } from "@ai-sdk/provider";
import { divideShare } from "../../domain/divide.ts";
import { type Failure, toFailure } from "../../domain/failure.ts";
import { Postponed } from "../../domain/postponed.ts";
import { encodeValue } from "../../domain/value.ts";
import { type ItemResult, markSent, settleBatch, type TakenItem } from "../../store/batches.ts";
import type { Database, Queryable } from "../../store/database.ts";
import type { ChatReply } from "../reply.ts";
import type { CallOptions } from "../roles.ts";
import { Bill } from "./bill.ts";
import type { Batching, BatchRun, ItemEnd } from "./roles.ts";

export interface FlushParts {
  readonly db: Database;
  /** The same, for what is safe to repeat: it waits for a database that does not answer. */
  readonly asks: Queryable;
  readonly clock: { now(): number };
  readonly leaseMs: number;
  readonly holdMs: number;
  chat(options: LanguageModelV3CallOptions, call: CallOptions): Promise<ChatReply>;
}

/** Failures of a request that one item of it may have caused: each of them is asked alone then. */
const ONE_MAY_CAUSE = new Set([
  "MODEL_REQUEST_REFUSED",
  "MODEL_CONTENT_FILTERED",
  "MODEL_CONTEXT_TOO_LONG",
  "MODEL_ANSWER_BROKEN",
  "QUOTA_IMPOSSIBLE",
]);
/** How often a function is tried for an item. */
const TRIES_MAX = 3;
const RETRY_MS = 500;

/** Answers the runs that were woken; null when the batch was taken from it. */
export async function flushBatch(
  parts: FlushParts,
  batching: Batching,
  batchId: string,
  taken: readonly TakenItem[],
  abort: AbortSignal,
): Promise<string[] | null> {
  const bill = new Bill(() => sent(parts, batchId));
  const results = await resultsOf(parts, batching, batchId, taken, bill, abort);
  if (results === null) return null;
  const weights = taken.map(({ payload }) => Buffer.byteLength(payload));
  const shares = divideShare(bill.whole, weights);
  const told = results.map((result, place) => ({
    itemId: taken[place]?.item_id ?? "",
    answer: null,
    confidence: bill.confidence,
    ...(shares[place] as (typeof shares)[number]),
    ...result,
  }));
  return await settleBatch(parts.asks, batchId, told);
}

type Told = Pick<ItemResult, "state"> & Partial<Pick<ItemResult, "answer" | "alone" | "delayMs">>;

/** Null: nothing is to be said, because somebody else will. */
async function resultsOf(
  parts: FlushParts,
  batching: Batching,
  batchId: string,
  taken: readonly TakenItem[],
  bill: Bill,
  abort: AbortSignal,
): Promise<Told[] | null> {
  const tasks = taken.map(({ item_id, payload }) => ({ itemId: item_id, payload }));
  try {
    if (batching.sizeOf === null) await sent(parts, batchId);
    const ends = await batching.run(tasks, runOf(parts, batching, batchId, taken, bill, abort));
    return taken.map((item, place) => told(ends[place], item, taken.length));
  } catch (error) {
    if (error instanceof TakenOver) return null;
    if (Postponed.is(error)) {
      const delayMs = Math.max(0, error.untilMs - parts.clock.now());
      return taken.map(() => ({ state: "waiting", delayMs }));
    }
    // The process closes: another goes on.
    if (abort.aborted) return taken.map(() => ({ state: "waiting" }));
    return taken.map((item) => afterFailure(batching, item, taken.length, toFailure(error)));
  }
}

function told(end: ItemEnd | undefined, { tries }: TakenItem, together: number): Told {
  if (end === undefined) throw new Error("a batcher gave fewer ends than it had items");
  if (end.is === "done") return { state: "done", answer: end.encoded };
  // Among others it may have suffered from them; by itself it gets a second chance.
  if (end.is === "again" && (together > 1 || tries === 0)) return { state: "waiting", alone: true };
  return { state: "failed", answer: encodeValue(end.failure) };
}

function afterFailure({ sizeOf }: Batching, { tries }: TakenItem, together: number, failure: Failure): Told {
  if (sizeOf !== null && together > 1 && ONE_MAY_CAUSE.has(String(failure.code)))
    return { state: "waiting", alone: true };
  // Model calls have been retried by then; a function has not.
  const isTriedAgain = sizeOf === null && failure.retryable !== false && tries + 1 < TRIES_MAX;
  if (isTriedAgain) return { state: "waiting", alone: tries > 0, delayMs: RETRY_MS * 2 ** tries };
  return { state: "failed", answer: encodeValue(failure) };
}

function runOf(
  parts: FlushParts,
  { name }: Batching,
  batchId: string,
  [first]: readonly TakenItem[],
  payer: Bill,
  abort: AbortSignal,
): BatchRun {
  const tenant = first?.tenant_id ?? "";
  return {
    tenant,
    batchId,
    abort,
    ask: (model, options) =>
      parts.chat(options, {
        model,
        abort,
        payer,
        callKey: `batch/${batchId}`,
        attribution: { tenant, runId: null, rootId: null, step: null, agent: null, feature: name },
        waiter: {
          holdMs: parts.holdMs,
          postpone: (untilMs, reason) => Promise.reject(new Postponed(untilMs, reason)),
        },
      }),
  };
}

/** Somebody thought this process dead, and has the items. */
class TakenOver extends Error {}

async function sent({ asks, leaseMs }: FlushParts, batchId: string): Promise<void> {
  if (!(await markSent(asks, batchId, leaseMs))) throw new TakenOver("the batch is somebody else's by now");
}
