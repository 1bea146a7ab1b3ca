// How a batcher is declared: many small tasks, of many runs, as one request.

import { fail, isLonghaulError } from "../../domain/errors.ts";
import { toFailure } from "../../domain/failure.ts";
import { checkName } from "../../domain/key.ts";
import { BATCH_BYTES_MAX, BATCH_DELAY_MS_MAX, BATCH_ITEM_BYTES_MAX, BATCH_ITEMS_MAX } from "../../domain/limits.ts";
import { decodeValue, encodeValue } from "../../domain/value.ts";
import type { Batching, ItemEnd } from "../../gateway/batch/roles.ts";

/** What `batcher()` and `modelBatcher()` give. An agent that uses it lists it in `batchers`. */
export interface Batcher<Item = unknown, Output = unknown> extends Batching {
  /** Never present: they carry the types of what goes in and comes out. */
  readonly "~item"?: (item: Item) => void;
  readonly "~output"?: Output;
}

// biome-ignore lint/suspicious/noExplicitAny: a batcher of whatever item and output
export type AnyBatcher = Batcher<any, any>;

export interface BatchSizes {
  /** Unique among the batchers of a build. */
  readonly name: string;
  /** Items in one request, at most 1,000. Default 20. */
  readonly maxItems?: number;
  /** How long an item waits for others, in milliseconds, at most ten minutes. Default 100. */
  readonly maxDelayMs?: number;
}

export interface BatcherDefinition<Item, Output> extends BatchSizes {
  /**
   * Answers all items: one output each, in their order; an Error in its place fails that item alone. They are of one tenant. A call that
   * throws is tried three times; a process that dies in it is replaced, so that the same items may come again.
   */
  readonly run: (
    items: readonly Item[],
    batch: { readonly tenant: string; readonly batchId: string; readonly abort: AbortSignal },
  ) => Promise<readonly (Output | Error)[]> | readonly (Output | Error)[];
}

/** Batches calls of a function of your own: lookups, inserts, requests to a service that takes many. @throws BATCHER_INVALID */
export function batcher<Item, Output>(definition: BatcherDefinition<Item, Output>): Batcher<Item, Output> {
  const { name, run } = definition;
  if (typeof run !== "function") throw invalid(name, "run is not a function");
  return Object.freeze({
    ...batchSizes(definition),
    sizeOf: null,
    run: async (tasks, { tenant, batchId, abort }) => {
      const items = tasks.map(({ payload }) => decodeValue(payload) as Item);
      const outputs: unknown = await run(items, { tenant, batchId, abort });
      if (!Array.isArray(outputs) || outputs.length !== items.length) {
        const given = Array.isArray(outputs) ? `${outputs.length} outputs` : `a ${typeof outputs}`;
        throw answerInvalid(name, `run gave ${given} for ${items.length} items`);
      }
      return outputs.map(endOf);
    },
  } satisfies Batching);
}

function endOf(output: unknown): ItemEnd {
  if (output instanceof Error) return { is: "failed", failure: toFailure(output) };
  try {
    return { is: "done", encoded: encodeValue(output) };
  } catch (error) {
    return { is: "failed", failure: toFailure(error) };
  }
}

/** @throws BATCHER_INVALID */
export function batchSizes({ name, maxItems = 20, maxDelayMs = 100 }: BatchSizes) {
  try {
    checkName("agent", name);
  } catch (error) {
    throw invalid(String(name), isLonghaulError(error) ? error.message : "it has no name");
  }
  if (!Number.isInteger(maxItems) || maxItems < 1 || maxItems > BATCH_ITEMS_MAX)
    throw invalid(name, `maxItems must be a whole number from 1 to ${BATCH_ITEMS_MAX}, and is ${String(maxItems)}`);
  if (!Number.isFinite(maxDelayMs) || maxDelayMs < 0 || maxDelayMs > BATCH_DELAY_MS_MAX)
    throw invalid(name, `maxDelayMs must be a number from 0 to ${BATCH_DELAY_MS_MAX}, and is ${String(maxDelayMs)}`);
  return { name, itemsMax: maxItems, bytesMax: BATCH_BYTES_MAX, delayMs: maxDelayMs };
}

/** An item as it is stored. @throws BATCH_ITEM_INVALID */
export function itemText(name: string, item: unknown): string {
  let text: string;
  try {
    text = encodeValue(item);
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw fail("BATCH_ITEM_INVALID", { batcher: name, problem }, { cause });
  }
  const bytes = Buffer.byteLength(text);
  if (bytes <= BATCH_ITEM_BYTES_MAX) return text;
  const problem = `it has ${bytes} bytes, and ${BATCH_ITEM_BYTES_MAX} are the most`;
  throw fail("BATCH_ITEM_INVALID", { batcher: name, problem });
}

/** The batchers of all agents of a process. @throws BATCHER_INVALID for two of one name */
export function batchersOf(agents: Iterable<{ readonly name: string; readonly batchers: readonly AnyBatcher[] }>) {
  const byName = new Map<string, AnyBatcher>();
  for (const agent of agents) {
    for (const one of agent.batchers) {
      const other = byName.get(one.name);
      if (other !== undefined && other !== one) throw invalid(one.name, "another batcher has the same name");
      byName.set(one.name, one);
    }
  }
  return [...byName.values()];
}

/** What an agent lists. @throws BATCHER_INVALID */
export function checkBatchers(agent: string, given: unknown): readonly AnyBatcher[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) throw invalid("(none)", `batchers of agent ${agent} is not a list`);
  for (const one of given as readonly Partial<AnyBatcher>[]) {
    if (typeof one?.name === "string" && typeof one.run === "function" && typeof one.itemsMax === "number") continue;
    throw invalid(String(one?.name), `agent ${agent} lists something that batcher() and modelBatcher() have not made`);
  }
  batchersOf([{ name: agent, batchers: given }]);
  return given;
}

export function invalid(batcher: string, problem: string): Error {
  return fail("BATCHER_INVALID", { batcher, problem });
}

export function answerInvalid(batcher: string, problem: string): Error {
  return fail("BATCH_ANSWER_INVALID", { batcher, problem });
}
