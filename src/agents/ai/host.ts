// What the verbs for models and tools need of the ctx they belong to.
import type { EmbeddingModelV3CallOptions } from "@ai-sdk/provider";
import { fail } from "../../domain/errors.ts";
import type { Attribution } from "../../domain/model-call.ts";
import type { RunNeeds } from "../../domain/run-needs.ts";
import type { Execution } from "../../engine/execution.ts";
import type { Scope } from "../../engine/scope.ts";
import type { BatchDesk } from "../../gateway/batch/desk.ts";
import type { ModelBatches } from "../../gateway/batch/remote/model-batches.ts";
import type { ChatRequest } from "../../gateway/chat.ts";
import type { EmbeddingReply } from "../../gateway/embedding.ts";
import type { Headroom } from "../../gateway/quota.ts";
import type { Quote, QuoteSize } from "../../gateway/quote.ts";
import type { ChatReply } from "../../gateway/reply.ts";
import type { CallOptions, Performed } from "../../gateway/roles.ts";
import type { Ctx } from "../ctx.ts";
import type { StreamFailures } from "./stream-failures.ts";

/** What the verbs use of the process's gateway. */
export interface ModelGateway {
  readonly settings: { readonly holdMs: number };
  chat(request: ChatRequest, options: CallOptions): Promise<Performed<ChatReply>>;
  embed(options: EmbeddingModelV3CallOptions, call: CallOptions): Promise<Performed<EmbeddingReply>>;
  quote(size: QuoteSize, attribution: Attribution, countsUsd: boolean): Promise<Quote>;
  readonly batches: BatchDesk;
  readonly modelBatches: ModelBatches;
  preflight(needs: RunNeeds & { readonly tenant: string; readonly agent: string }): Promise<Headroom>;
}

export interface AiHost {
  readonly execution: Execution;
  readonly scope: Scope;
  readonly gateway: ModelGateway | null;
  readonly streams: StreamFailures;
  /** Where every durable verb passes. @throws NESTED_STEP, CHECKPOINT_NOT_RESTORED */
  begin(verb: string, name: string): void;
  /** The ctx of a branch. */
  inside(scope: Scope): Ctx;
}

/** @throws GATEWAY_MISSING */
export function gatewayOf(host: AiHost): ModelGateway {
  if (host.gateway === null) throw fail("GATEWAY_MISSING");
  return host.gateway;
}

/** Where a ctx gives what this needs, to the rest of this room alone. */
export const AI_HOST: unique symbol = Symbol("longhaul.ai");

export function hostOf(ctx: Ctx): AiHost {
  return (ctx as Ctx & { [AI_HOST](): AiHost })[AI_HOST]();
}
