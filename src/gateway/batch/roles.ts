// The contract of batching: what a batcher is to whoever flushes it, and what becomes of an item.
import type { LanguageModelV3CallOptions } from "@ai-sdk/provider";
import type { Failure } from "../../domain/failure.ts";
import type { ChatReply } from "../reply.ts";

/** What an item may cost by itself: it may turn out to be the only one. */
export interface ItemSize {
  /** An alias, or `provider/model`. */
  readonly model: string;
  /** UTF-8 bytes of everything that would go out. */
  readonly inputBytes: number;
  readonly maxOutputTokens: number;
}

export interface BatchTask {
  readonly itemId: string;
  readonly payload: string;
}

/** `again`: its answer was not usable, which need not be its fault; it is asked again, alone. */
export type ItemEnd =
  | { readonly is: "done"; readonly encoded: string }
  | { readonly is: "failed"; readonly failure: Failure }
  | { readonly is: "again"; readonly failure: Failure };

export interface BatchRun {
  readonly tenant: string;
  readonly batchId: string;
  /** Fires when the process closes, and when the batch is somebody else's. */
  readonly abort: AbortSignal;
  /** One model call for all of them: inside limits, retried and failed over like any, its cost divided among the items. */
  ask(model: string, options: LanguageModelV3CallOptions): Promise<ChatReply>;
}

/** Turns many items into one request. Items of one batch belong to one tenant, and to runs of one build. */
export interface Batching {
  readonly name: string;
  readonly itemsMax: number;
  /** UTF-8 bytes of payload in one batch. */
  readonly bytesMax: number;
  /** How long an item waits for others. */
  readonly delayMs: number;
  /** Null: its items cost nothing that is known. */
  readonly sizeOf: ((payload: string) => Promise<ItemSize>) | null;
  /** One end per task, in their order. @throws what then becomes of all of them */
  run(tasks: readonly BatchTask[], batch: BatchRun): Promise<readonly ItemEnd[]>;
}
