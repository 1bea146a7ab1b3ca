// What a run tells the gateway with each of its calls: who asks, who pays, who waits, and when to stop.
import { durationMs } from "../../domain/duration.ts";
import { Postponed } from "../../domain/postponed.ts";
import type { CallOptions } from "../../gateway/roles.ts";

/** Waits no longer than this happen in place; for longer ones the run sleeps. */
const HOLD_MS = 8_000;

import type { AiHost } from "./host.ts";
import type { EmbedOptions, ModelOptions } from "./options.ts";

/** Calls of a step's body. The key of the call is the step's, so that every attempt at it, in whatever process, is known for the same. */
export function callOptions(
  { execution }: AiHost,
  model: string,
  step: { readonly idempotencyKey: string },
  abort: AbortSignal,
  { feature, cache, coalesce }: Pick<ModelOptions & EmbedOptions, "feature" | "cache" | "coalesce">,
): CallOptions {
  const { claim, runId } = execution;
  return {
    model,
    attribution: {
      tenant: claim.tenant_id,
      runId,
      rootId: claim.root_id,
      step: step.idempotencyKey.slice(runId.length + 1),
      agent: claim.agent,
      feature: feature ?? null,
    },
    abort,
    payer: execution.account,
    waiter: { holdMs: HOLD_MS, postpone: async (untilMs, reason) => Promise.reject(new Postponed(untilMs, reason)) },
    callKey: step.idempotencyKey,
    cacheMs: cache === undefined ? null : durationMs(cache),
    ...(coalesce === undefined ? {} : { coalesce }),
  };
}
