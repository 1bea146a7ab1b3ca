// `ctx.embed`: vectors for texts, in requests of many, each a step.
import { fail } from "../../domain/errors.ts";
import { hashInput } from "../../domain/hash.ts";
import { checkName } from "../../domain/key.ts";
import { EMBED_BATCH_DEFAULT, EMBED_BATCH_MAX, EMBED_REQUESTS_MAX } from "../../domain/limits.ts";
import { performStep } from "../../engine/step.ts";
import { bounded } from "../branches.ts";
import { callOptions } from "./call-context.ts";
import { type AiHost, gatewayOf } from "./host.ts";
import type { EmbedOptions } from "./options.ts";

const ONE_ATTEMPT = { maxAttempts: 1, initialMs: 0, factor: 1, maxMs: 0, jitter: 0 };

/** One vector per value, in their order. */
export async function embed(
  host: AiHost,
  model: string,
  values: readonly string[],
  options: EmbedOptions,
): Promise<number[][]> {
  const size = options.batch ?? EMBED_BATCH_DEFAULT;
  if (!Number.isInteger(size) || size < 1 || size > EMBED_BATCH_MAX)
    throw fail("EMBED_BATCH_INVALID", { value: String(size), limit: EMBED_BATCH_MAX });
  const name = checkName("step", options.name ?? `embed ${model}`);
  host.begin("embed", name);
  const gateway = gatewayOf(host);
  const parts: string[][] = [];
  for (let from = 0; from < values.length; from += size) parts.push(values.slice(from, from + size));
  const vectors = await bounded(parts, EMBED_REQUESTS_MAX, async (part, place) => {
    const recorded = await performStep(host.execution, host.scope, {
      name,
      mark: `${place}-${hashInput(JSON.stringify([model, part])).slice(0, 12)}`,
      input: null,
      retry: ONE_ATTEMPT,
      timeoutMs: null,
      sealed: true,
      body: async (step) => {
        const { result } = await gateway.embed({ values: part }, callOptions(host, model, step, step.abort, options));
        if (result.embeddings.length !== part.length)
          throw fail("EMBED_COUNT", { model, asked: part.length, given: result.embeddings.length });
        // As numbers in text they would take twice the room.
        return result.embeddings.map((vector) => Float64Array.from(vector));
      },
    });
    return (recorded as Float64Array[]).map((vector) => Array.from(vector));
  });
  return vectors.flat();
}
