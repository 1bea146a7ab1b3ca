// A model call of `ctx.model` that takes its time: it waits for a provider's batch, as a row, and goes out live when that comes too late.
import type { LanguageModelV3CallOptions } from "@ai-sdk/provider";
import type { CallOutcome } from "../../domain/calls.ts";
import { type DurationInput, durationMs } from "../../domain/duration.ts";
import { fail } from "../../domain/errors.ts";
import { itemKey } from "../../domain/message.ts";
import { Postponed } from "../../domain/postponed.ts";
import { NO_SPEND, NO_TOKENS } from "../../domain/usage.ts";
import { readGroup } from "../../gateway/batch/remote/group.ts";
import type { ChatReply } from "../../gateway/reply.ts";
import type { Performed } from "../../gateway/roles.ts";
import type { ItemView } from "../../store/batches.ts";
import { itemIdOf } from "./batch.ts";
import { attributionOf, stepKeyOf } from "./call-context.ts";
import { type AiHost, gatewayOf } from "./host.ts";
import type { ModelOptions } from "./options.ts";

const DELAY = "1 min";
const DEADLINE = "24 h";
/** After the deadline some process lets the item go; until then its run looks again. */
const LOOK_AGAIN_MS = 5_000;

/** @throws BATCH_TIMES_INVALID, DURATION_INVALID */
export function batchTimes({ maxDelay = DELAY, deadline = DEADLINE }: NonNullable<ModelOptions["batch"]>) {
  const delayMs = durationMs(maxDelay as DurationInput);
  const deadlineMs = durationMs(deadline as DurationInput);
  if (deadlineMs <= delayMs)
    throw fail("BATCH_TIMES_INVALID", { maxDelay: String(maxDelay), deadline: String(deadline) });
  return { delayMs, deadlineMs };
}

/** Null: it is to be asked live. @throws BUDGET_EXCEEDED, PRICE_UNKNOWN, MODEL_UNKNOWN; Postponed while the batch is out */
export async function askInBatch(
  host: AiHost,
  model: string,
  request: LanguageModelV3CallOptions,
  step: { readonly idempotencyKey: string },
  options: ModelOptions,
): Promise<Performed<ChatReply> | null> {
  const { delayMs, deadlineMs } = batchTimes(options.batch ?? {});
  const { batches, modelBatches } = gatewayOf(host);
  const { account, claim, runId, owner } = host.execution;
  const itemId = itemIdOf(step);
  const found = await batches.read(itemId);
  if (found === null) {
    const attribution = attributionOf(host, step, options.feature ?? null);
    const prepared = await modelBatches.prepare(model, request, attribution, account.limits.usd);
    if (prepared === null) return null;
    const { alias, target, need, batcher, payload } = prepared;
    await account.reserve(need);
    const item = { itemId, runId, tenant: claim.tenant_id, batcher, payload, delayMs, deadlineMs, estimate: need };
    const facts = { callKey: step.idempotencyKey, attribution, alias, ...target, attempt: 1, estimate: need };
    await account.openItem(facts, item).catch((error) => {
      account.settle(need, NO_SPEND);
      throw error;
    });
    batches.enteredRemote();
  } else if (found.state !== "waiting" && found.state !== "taken") return await settled(host, request, step, found);
  if (!(await batches.park(itemId))) return askInBatch(host, model, request, step, options);
  const untilMs = owner.clock.now() + (found === null ? deadlineMs : 0) + LOOK_AGAIN_MS;
  throw new Postponed(untilMs, `batch of ${model}`, itemKey(itemId));
}

async function settled(
  host: AiHost,
  request: LanguageModelV3CallOptions,
  step: { readonly idempotencyKey: string },
  view: ItemView,
): Promise<Performed<ChatReply> | null> {
  const { account } = host.execution;
  const call = account.foundItem(view.itemId, stepKeyOf(host, step));
  const group = readGroup(view.batcher);
  const noCost: CallOutcome = {
    usage: NO_TOKENS,
    nanoUsd: 0n,
    confidence: "unknown",
    source: "batch",
    latencyMs: 0,
    firstChunkMs: null,
  };
  const answer = view.state === "done" ? view.answer : null;
  if (group === null || answer === null) {
    account.settle(view.estimate, NO_SPEND);
    call.failed("unanswered", noCost);
    return null;
  }
  const { provider, model } = group;
  const { reply, usage, nanoUsd, confidence } = await gatewayOf(host).modelBatches.read(
    { provider, model },
    request,
    answer,
    view.estimate,
  );
  const spend = { inputTokens: usage.inputTokens, outputTokens: usage.outputTokens, nanoUsd, steps: 0 };
  account.settle(view.estimate, spend);
  call.succeeded({ ...noCost, usage, nanoUsd, confidence });
  return {
    result: reply,
    target: { provider, model },
    source: "batch",
    usage,
    spend,
    attempts: 1,
    latencyMs: 0,
    firstChunkMs: null,
  };
}
