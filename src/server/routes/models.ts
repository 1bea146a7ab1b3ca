// The OpenAI-compatible endpoint: any program in any language gets quotas, budgets, cache and attribution by changing its base URL.
import { Hono } from "hono";
import { fail } from "../../domain/errors.ts";
import type { OpenAiCall } from "../../gateway/openai/call.ts";
import type { OpenAiApi } from "../../gateway/openai/outlets.ts";
import { modelRequest } from "../model-call.ts";
import { answerHeaders, budgetLeft } from "../model-headers.ts";
import { modelStream } from "../model-stream.ts";
import type { ServerEnv } from "../options.ts";
import type { Ctx } from "../request.ts";
import { JSON_TYPE, json } from "../respond.ts";
import type { Services } from "../services.ts";

export function modelRoutes(services: Services): Hono<ServerEnv> {
  const { longhaul } = services;

  const call =
    (api: OpenAiApi) =>
    async (c: Ctx): Promise<Response> => {
      const request = await modelRequest(services, c, api);
      const { gateway } = longhaul;
      const make = (sink: OpenAiCall["sink"], abort: AbortSignal) =>
        gateway.openAi({ ...request.call, sink }, { ...request.options, abort });
      if (request.call.stream) return modelStream(services, c, request, make);
      const answer = await make(null, c.req.raw.signal);
      const headers = answerHeaders(answer, await budgetLeft(services, c, request));
      return c.body(answer.result, 200, { "content-type": JSON_TYPE, ...headers });
    };

  const list = async (c: Ctx): Promise<Response> => json(c, { object: "list", data: models() });

  const one = async (c: Ctx): Promise<Response> => {
    const id = c.req.param("model") ?? "";
    const found = models().find((model) => model.id === id);
    if (found !== undefined) return json(c, found);
    const reason = "it is not in the list";
    throw fail("MODEL_UNKNOWN", { model: JSON.stringify(id.slice(0, 200)), reason, fix: "List them: GET /v1/models." });
  };

  const models = () =>
    longhaul.gateway.models().map(({ id, provider }) => ({
      id,
      object: "model",
      created: 0,
      owned_by: provider ?? "longhaul",
    }));

  return new Hono<ServerEnv>()
    .post("/v1/chat/completions", call("chat"))
    .post("/v1/responses", call("responses"))
    .post("/v1/embeddings", call("embeddings"))
    .get("/v1/models", list)
    .get("/v1/models/:model{.+}", one);
}
