// Model calls without a model: what the gateway does with a run's account, so that tests can spend.
import { Context } from "../../src/agents/context.ts";
import type { CallFacts, CallOutcome } from "../../src/domain/calls.ts";
import { resolveRetry } from "../../src/domain/retry.ts";
import { NO_SPEND, NO_TOKENS, type Spend, toNanoUsd } from "../../src/domain/usage.ts";
import { insideStep } from "../../src/engine/inside-step.ts";
import { performStep } from "../../src/engine/step.ts";
import type { Ctx } from "../../src/index.ts";

/** Tokens in and out, and US dollars. */
export interface Cost {
  readonly input?: number;
  readonly output?: number;
  readonly usd?: number;
}

export interface FakeCall {
  readonly estimate: Cost;
  /** What it really costs; default: the estimate. */
  readonly actual?: Cost;
  /** What happens between sending and the answer. */
  readonly send?: (attempt: number) => Promise<unknown>;
  /** Attempts that fail before one succeeds. */
  readonly failures?: number;
}

export function spend({ input = 0, output = 0, usd = 0 }: Cost): Spend {
  return { ...NO_SPEND, inputTokens: input, outputTokens: output, nanoUsd: toNanoUsd(usd) };
}

export function facts(over: Partial<CallFacts> & { readonly estimate: Spend }): CallFacts {
  return {
    callKey: "key",
    attribution: { tenant: "t", runId: null, rootId: null, step: null, agent: null, feature: null },
    alias: null,
    provider: "fake",
    model: "fake-1",
    attempt: 1,
    ...over,
  };
}

export function outcome(cost: Cost): CallOutcome {
  const { inputTokens, outputTokens, nanoUsd } = spend(cost);
  const usage = { ...NO_TOKENS, inputTokens, outputTokens };
  return { usage, nanoUsd, confidence: "exact", source: "provider", latencyMs: 1, firstChunkMs: null };
}

/** A step that makes one call, as ctx.model does. Gives the number of the attempt that succeeded. */
export function callModel(ctx: Ctx, name: string, call: FakeCall): Promise<number> {
  const { execution, scope } = Context.partsOf(ctx);
  const { account } = execution;
  const body = async (): Promise<number> => {
    const need = spend(call.estimate);
    for (let attempt = 1; ; attempt++) {
      await account.reserve(need);
      const attribution = {
        tenant: ctx.tenant,
        runId: ctx.runId,
        rootId: execution.claim.root_id,
        step: insideStep.getStore()?.key ?? null,
        agent: ctx.agent,
        feature: null,
      };
      const given = facts({ callKey: `${ctx.runId}/${name}`, attribution, attempt, estimate: need });
      const opened = await account.open(given).catch((error) => {
        account.settle(need, NO_SPEND);
        throw error;
      });
      await call.send?.(attempt);
      if (attempt <= (call.failures ?? 0)) {
        account.settle(need, NO_SPEND);
        opened.failed("overloaded", outcome({}));
        continue;
      }
      const actual = call.actual ?? call.estimate;
      account.settle(need, spend(actual));
      opened.succeeded(outcome(actual));
      return attempt;
    }
  };
  const spec = { name, input: null, retry: resolveRetry(false), timeoutMs: null, body };
  return performStep(execution, scope, spec) as Promise<number>;
}
