// A request to the OpenAI-compatible endpoint as a call of the gateway: its body, and what its headers say about whose it is.
import { createHash, randomUUID } from "node:crypto";
import { durationMs, formatDuration } from "../domain/duration.ts";
import { isLonghaulError } from "../domain/errors.ts";
import { checkKey } from "../domain/key.ts";
import { LABEL_CHARS_MAX, MODEL_CACHE_MS_MAX, MODEL_WAIT_MS_MAX } from "../domain/limits.ts";
import type { OpenAiCall } from "../gateway/openai/call.ts";
import type { OpenAiApi } from "../gateway/openai/outlets.ts";
import type { CallOptions } from "../gateway/roles.ts";
import { type Ctx, invalid, isUuid, readJsonText } from "./request.ts";
import type { Services } from "./services.ts";

/** A checked request, without where its frames go. */
export interface ModelRequest {
  readonly call: Omit<OpenAiCall, "sink">;
  readonly options: Omit<CallOptions, "abort">;
  readonly budgetId: string | null;
}

/** @throws REQUEST_INVALID, BODY_*, BUDGET_NOT_FOUND */
export async function modelRequest(services: Services, c: Ctx, api: OpenAiApi): Promise<ModelRequest> {
  const limits = { ...services.limits, bodyBytesMax: services.limits.modelBodyBytesMax };
  const { text, value } = await readJsonText(c, limits);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid([{ path: "", message: "expected a JSON object" }]);
  const body = value as Record<string, unknown>;
  const model = body["model"];
  if (typeof model !== "string" || model === "")
    throw invalid([{ path: "model", message: "expected the name of a model" }]);
  refuseUnmetered(api, body);
  const { tenant } = c.var.caller;
  const headers = new ModelHeaders(c);
  const budgetId = headers.uuid("x-longhaul-budget");
  const { gateway } = services.longhaul;
  const idempotencyKey = headers.idempotencyKey();
  const cacheMs =
    headers.duration("x-longhaul-cache", MODEL_CACHE_MS_MAX) ?? (idempotencyKey === null ? null : KEPT_MS);
  const stream = api !== "embeddings" && flag(body, "stream");
  return {
    call: {
      api,
      text,
      body,
      stream,
      idempotencyKey,
      wantsUsage: (body["stream_options"] as { include_usage?: unknown } | null | undefined)?.include_usage === true,
      keeps: cacheMs !== null,
    },
    options: {
      model,
      attribution: {
        tenant,
        // A run of a program outside is nobody's here: it has no account, and what it costs is found by this name alone.
        runId: null,
        rootId: headers.uuid("x-longhaul-run"),
        step: null,
        agent: headers.label("x-longhaul-agent"),
        feature: headers.label("x-longhaul-feature"),
      },
      payer: await gateway.payer({ tenant, budgetId }),
      waiter: gateway.waiter(headers.duration("x-longhaul-wait", MODEL_WAIT_MS_MAX) ?? undefined),
      callKey: idempotencyKey === null ? randomUUID() : callKeyOf(tenant, idempotencyKey, text),
      cacheMs,
    },
    budgetId,
  };
}

/** How long a repeat with the same idempotency key finds the first answer. */
const KEPT_MS = 86_400_000;

/** A repeat finds its place in a quota's line. */
function callKeyOf(tenant: string, idempotencyKey: string, text: string): string {
  return createHash("sha256")
    .update(JSON.stringify([tenant, idempotencyKey, text]))
    .digest("hex");
}

function flag(body: Record<string, unknown>, name: string): boolean {
  const value = body[name];
  if (value === undefined || value === null || typeof value === "boolean") return value === true;
  throw invalid([{ path: name, message: "expected true or false" }]);
}

/** What a provider does after it has answered nobody pays for. */
function refuseUnmetered(api: OpenAiApi, body: Record<string, unknown>): void {
  if (api === "responses" && body["background"] === true)
    throw invalid([
      { path: "background", message: "what runs at the provider by itself cannot be metered: leave it out" },
    ]);
}

class ModelHeaders {
  readonly #c: Ctx;

  constructor(c: Ctx) {
    this.#c = c;
  }

  uuid(name: string): string | null {
    const value = this.#given(name);
    if (value === null || isUuid(value)) return value?.toLowerCase() ?? null;
    throw invalid([{ path: name, message: "expected a UUID" }]);
  }

  /** A word by which costs are told apart. */
  label(name: string): string | null {
    const value = this.#given(name);
    if (value === null || (value.length <= LABEL_CHARS_MAX && !/\p{Cc}/u.test(value))) return value;
    throw invalid([{ path: name, message: `expected at most ${LABEL_CHARS_MAX} characters` }]);
  }

  duration(name: string, mostMs: number): number | null {
    const value = this.#given(name);
    if (value === null) return null;
    try {
      const ms = durationMs(value);
      if (ms <= mostMs) return ms;
    } catch (error) {
      if (!isLonghaulError(error, "DURATION_INVALID")) throw error;
    }
    throw invalid([{ path: name, message: `expected a duration such as 30s, at most ${formatDuration(mostMs)}` }]);
  }

  idempotencyKey(): string | null {
    const value = this.#given("idempotency-key");
    return value === null ? null : checkKey("idempotency key", value);
  }

  #given(name: string): string | null {
    const value = this.#c.req.header(name)?.trim();
    return value === undefined || value === "" ? null : value;
  }
}
