// One logical call from its model's name to its answer: the answer of an equal call where that will do, else attempts.
import { NO_SPEND, NO_TOKENS } from "../domain/usage.ts";
import { Endeavour } from "./endeavour.ts";
import { nameOf, type Parts, sizeOf } from "./parts.ts";
import type { CallOptions, Job, Performed } from "./roles.ts";
import { type Route, routeOf } from "./route.ts";

/**
 * Makes one call.
 *
 * @throws MODEL_UNKNOWN, MODEL_ROUTE_INVALID; what the last attempt failed with (`call-error.ts`); QUOTA_IMPOSSIBLE, BUDGET_EXCEEDED,
 * PRICE_UNKNOWN; what the waiter throws; the reason of the caller's abort
 */
export async function perform<R>(parts: Parts, job: Job<R>, options: CallOptions): Promise<Performed<R>> {
  const { tenant, agent, feature, step } = options.attribution;
  // Rules look at the size of a call before it is known who serves it.
  const estimate = parts.estimator.estimate({ provider: "", model: options.model }, sizeOf(job, feature));
  const facts = { estimate, step, agent, feature, tenant, hasTools: job.hasTools };
  const route = routeOf(parts.settings, options.model, facts);
  const { cacheMs = null } = options;
  const coalesce = options.coalesce ?? (cacheMs !== null && parts.settings.cache.coalesce);
  const { identity, codec } = job;
  if (identity === null || codec === undefined || (cacheMs === null && !coalesce))
    return new Endeavour(parts, job, options, route).run();
  return shared(parts, job, options, route, { cacheMs, coalesce, identity, codec });
}

interface Sharing<R> {
  readonly cacheMs: number | null;
  readonly coalesce: boolean;
  readonly identity: string;
  readonly codec: NonNullable<Job<R>["codec"]>;
}

/** The answer that an equal call has had, or is having; else the call, and its answer for whoever asks the same. */
async function shared<R>(
  parts: Parts,
  job: Job<R>,
  options: CallOptions,
  route: Route,
  { cacheMs, coalesce, identity, codec }: Sharing<R>,
): Promise<Performed<R>> {
  const startMs = performance.now();
  const { attribution, abort } = options;
  const [target] = route.targets;
  const key = JSON.stringify([job.kind, route.targets.map(nameOf), identity]);
  const part = await parts.answers.lead({ tenant: attribution.tenant, key, cacheMs, coalesce, abort });
  if (part.is === "answer") {
    const latencyMs = Math.round(performance.now() - startMs);
    const { source } = part;
    options.payer.note({
      callKey: options.callKey,
      attribution,
      alias: route.alias,
      ...target,
      attempt: 0,
      estimate: NO_SPEND,
      usage: NO_TOKENS,
      nanoUsd: 0n,
      confidence: "exact",
      source,
      latencyMs,
      firstChunkMs: null,
    });
    const result = codec.decode(part.text);
    return {
      result,
      target,
      source,
      usage: NO_TOKENS,
      spend: NO_SPEND,
      attempts: 0,
      latencyMs,
      firstChunkMs: null,
    };
  }
  try {
    const performed = await new Endeavour(parts, job, options, route).run();
    await part.publish(codec.encode(performed.result));
    return performed;
  } catch (error) {
    await part.withdraw();
    throw error;
  }
}
