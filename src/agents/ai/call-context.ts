// What a run tells the gateway with each of its calls: who asks, who pays, who waits, and when to stop.
import { durationMs } from "../../domain/duration.ts";
import type { Attribution } from "../../domain/model-call.ts";
import { Postponed } from "../../domain/postponed.ts";
import type { RunAccount } from "../../engine/account.ts";
import type { CallOptions, Payer } from "../../gateway/roles.ts";
import { type AiHost, gatewayOf } from "./host.ts";
import type { EmbedOptions, ModelOptions } from "./options.ts";

/** Calls of a step's body. The key of the call is the step's, so that every attempt at it, in whatever process, is known for the same. */
export function callOptions(
  host: AiHost,
  model: string,
  step: { readonly idempotencyKey: string },
  abort: AbortSignal,
  { feature, cache, coalesce }: Pick<ModelOptions & EmbedOptions, "feature" | "cache" | "coalesce">,
): CallOptions {
  const { account } = host.execution;
  return {
    model,
    attribution: attributionOf(host, step, feature ?? null),
    abort,
    payer: payerOf(account),
    waiter: {
      holdMs: gatewayOf(host).settings.holdMs,
      // A long wait is the run's: it sleeps as a row, and the step's body runs again then.
      postpone: (untilMs, reason) => Promise.reject(new Postponed(untilMs, reason)),
    },
    callKey: step.idempotencyKey,
    cacheMs: cache === undefined ? null : durationMs(cache),
    ...(coalesce === undefined ? {} : { coalesce }),
  };
}

/** Who asks, and for what. */
export function attributionOf(
  host: AiHost,
  step: { readonly idempotencyKey: string },
  feature: string | null,
): Attribution {
  const { claim, runId } = host.execution;
  return {
    tenant: claim.tenant_id,
    runId,
    rootId: claim.root_id,
    step: stepKeyOf(host, step),
    agent: claim.agent,
    feature,
  };
}

/** The step's key in the run's journal. */
export function stepKeyOf(
  { execution: { runId } }: AiHost,
  { idempotencyKey }: { readonly idempotencyKey: string },
): string {
  return idempotencyKey.slice(runId.length + 1);
}

function payerOf(account: RunAccount): Payer {
  return {
    limits: account.limits,
    reserve: (need) => account.reserve(need),
    settle: (reserved, actual) => account.settle(reserved, actual),
    open: (call) => account.open(call),
    note: ({ usage, nanoUsd, confidence, source, latencyMs, firstChunkMs, ...facts }) =>
      account.note(facts, { usage, nanoUsd, confidence, source, latencyMs, firstChunkMs }),
  };
}
