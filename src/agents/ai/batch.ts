// `ctx.batch`: one small task as a step, answered together with those of other runs.
import { v5 } from "uuid";
import type { CallOutcome, OpenedCall } from "../../domain/calls.ts";
import { fail } from "../../domain/errors.ts";
import { type Failure, fromFailure } from "../../domain/failure.ts";
import { hashInput } from "../../domain/hash.ts";
import { checkName } from "../../domain/key.ts";
import { itemKey } from "../../domain/message.ts";
import { Postponed } from "../../domain/postponed.ts";
import { NO_SPEND } from "../../domain/usage.ts";
import { decodeValue } from "../../domain/value.ts";
import { performStep } from "../../engine/step.ts";
import type { Batching } from "../../gateway/batch/roles.ts";
import type { ItemView, NewItem } from "../../store/batches.ts";
import { itemText } from "./batcher.ts";
import { attributionOf, stepKeyOf } from "./call-context.ts";
import { type AiHost, gatewayOf } from "./host.ts";
import type { BatchOptions } from "./options.ts";

const ONE_ATTEMPT = { maxAttempts: 1, initialMs: 0, factor: 1, maxMs: 0, jitter: 0 };
/** A run that sleeps for its item is told; should that ever fail, it looks by itself. */
const LOOK_AGAIN_MS = 15 * 60_000;
/** The same item for the same step, in whatever process. */
const ITEMS = "7d1b0c52-54a3-4f0e-9f5f-0d0c1b6a2e19";

interface Step {
  readonly abort: AbortSignal;
  readonly idempotencyKey: string;
}

export function itemIdOf({ idempotencyKey }: { readonly idempotencyKey: string }): string {
  return v5(idempotencyKey, ITEMS);
}

/** @throws BATCHER_UNKNOWN, BATCH_ITEM_INVALID, BATCH_ANSWER_INVALID; what the batcher's call fails with */
export async function batch(host: AiHost, batcher: string, item: unknown, options: BatchOptions): Promise<unknown> {
  const name = checkName("step", options.name ?? `batch ${batcher}`);
  host.begin("batch", name);
  const batching = gatewayOf(host).batches.find(batcher);
  const payload = itemText(batcher, item);
  return await performStep(host.execution, host.scope, {
    name,
    mark: hashInput(`${batcher}\n${payload}`).slice(0, 12),
    input: null,
    // Retries are the flusher's: it knows which failures are this item's own.
    retry: ONE_ATTEMPT,
    timeoutMs: null,
    sealed: true,
    body: (step) => answered(host, batching, payload, step, options.feature ?? null),
  });
}

async function answered(
  host: AiHost,
  batching: Batching,
  payload: string,
  step: Step,
  feature: string | null,
): Promise<unknown> {
  const { batches, settings } = gatewayOf(host);
  const itemId = itemIdOf(step);
  let found = await batches.read(itemId);
  const call =
    found === null
      ? await enter(host, batching, payload, itemId, step, feature)
      : foundCall(host, batching, step, found);
  const startMs = performance.now();
  if (found === null || !isSettled(found)) found = await batches.follow(itemId, settings.holdMs, step.abort);
  if (found === null && !(await batches.park(itemId))) found = await batches.read(itemId);
  if (found === null || !isSettled(found)) {
    const untilMs = host.execution.owner.clock.now() + LOOK_AGAIN_MS;
    throw new Postponed(untilMs, `batch ${batching.name}`, itemKey(itemId));
  }
  call?.(found, performance.now() - startMs);
  return outputOf(batching, found);
}

/** Says what the item has cost, for the record of the step. */
type Settle = (view: ItemView, latencyMs: number) => void;

/** What it may cost is set aside, and it waits, in one commit. @throws BUDGET_EXCEEDED, PRICE_UNKNOWN, MODEL_UNKNOWN; Postponed */
async function enter(
  host: AiHost,
  batching: Batching,
  payload: string,
  itemId: string,
  step: Step,
  feature: string | null,
): Promise<Settle | null> {
  const gateway = gatewayOf(host);
  const { account, claim, runId } = host.execution;
  const tenant = claim.tenant_id;
  const { delayMs } = batching;
  const batcher = gateway.batches.batcherOf(batching);
  const item = { itemId, runId, tenant, batcher, payload, delayMs, deadlineMs: null, estimate: NO_SPEND };
  if (batching.sizeOf === null) {
    await gateway.batches.enter(item);
    gateway.batches.entered(batching, tenant);
    return null;
  }
  const attribution = attributionOf(host, step, feature);
  const size = await batching.sizeOf(payload);
  const { alias, target, need } = await gateway.quote(size, attribution, account.limits.usd);
  const facts = { callKey: step.idempotencyKey, attribution, alias, ...target, attempt: 1, estimate: need };
  const call = await opened(host, facts, { ...item, estimate: need });
  gateway.batches.entered(batching, tenant);
  return settler(host, call);
}

async function opened(
  { execution: { account } }: AiHost,
  facts: Parameters<typeof account.openItem>[0],
  item: NewItem,
): Promise<OpenedCall> {
  await account.reserve(facts.estimate);
  try {
    return await account.openItem(facts, item);
  } catch (error) {
    account.settle(facts.estimate, NO_SPEND);
    throw error;
  }
}

/** Its call was opened before: by this process, or by one that is gone. */
function foundCall(host: AiHost, { sizeOf }: Batching, step: Step, { itemId }: ItemView): Settle | null {
  return sizeOf === null ? null : settler(host, host.execution.account.foundItem(itemId, stepKeyOf(host, step)));
}

function settler({ execution: { account } }: AiHost, call: OpenedCall): Settle {
  return ({ state, answer, usage, nanoUsd, confidence, estimate }, latencyMs) => {
    const { inputTokens, outputTokens } = usage;
    account.settle(estimate, { inputTokens, outputTokens, nanoUsd, steps: 0 });
    const outcome: CallOutcome = {
      usage,
      nanoUsd,
      confidence: confidence ?? "unknown",
      source: "batch",
      latencyMs: Math.round(latencyMs),
      firstChunkMs: null,
    };
    if (state === "done") call.succeeded(outcome);
    else call.failed(String((decodeValue(answer ?? "null") as Failure | null)?.code ?? "batch"), outcome);
  };
}

function isSettled({ state }: ItemView): boolean {
  return state !== "waiting" && state !== "taken";
}

function outputOf({ name }: Batching, { state, answer }: ItemView): unknown {
  if (state === "done" && answer !== null) return decodeValue(answer);
  if (state === "failed" && answer !== null) throw fromFailure(decodeValue(answer) as Failure);
  throw fail("BATCH_ANSWER_INVALID", { batcher: name, problem: "nobody answers it" });
}
