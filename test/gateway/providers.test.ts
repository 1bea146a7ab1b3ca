// Providers: the official packages against a real server, keys and addresses from the environment, and the user's own models.
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { LanguageModelV3CallOptions } from "@ai-sdk/provider";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkGateway } from "../../src/gateway/check-config.ts";
import { classify } from "../../src/gateway/classify.ts";
import { closePools } from "../../src/gateway/http.ts";
import { Providers } from "../../src/gateway/providers.ts";

interface Seen {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: Record<string, unknown>;
}

const seen: Seen[] = [];
let url: string;
let status = 200;
const server = createServer(async (request, response) => {
  const text = (await request.toArray()).join("");
  const body = JSON.parse(text === "" ? "{}" : text) as Record<string, unknown>;
  seen.push({ path: request.url ?? "", headers: request.headers, body });
  const [type, answer] = answerTo(request.url ?? "", body["stream"] === true);
  response.writeHead(status, { "content-type": type, "x-ratelimit-remaining-requests": "41" });
  response.end(status === 200 ? answer : JSON.stringify({ error: { message: "Slow down", type: "rate_limit_error" } }));
});

beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
  await closePools();
  server.close().closeAllConnections();
});

const prompt: LanguageModelV3CallOptions = { prompt: [{ role: "user", content: [{ type: "text", text: "hi" }] }] };

function target(name: string) {
  const slash = name.indexOf("/");
  return { provider: name.slice(0, slash), model: name.slice(slash + 1) };
}

async function text(providers: Providers, name: string) {
  const result = await (await providers.language(target(name))).doGenerate(prompt);
  const part = result.content.find((one) => one.type === "text");
  return {
    text: part?.type === "text" ? part.text : null,
    usage: result.usage,
    headers: result.response?.headers ?? {},
    last: seen.at(-1) as Seen,
  };
}

describe("the makers", () => {
  const env = () => ({
    OPENAI_API_KEY: "sk-o",
    OPENAI_BASE_URL: `${url}/v1/`,
    ANTHROPIC_API_KEY: " sk-a\n",
    ANTHROPIC_BASE_URL: url,
    GEMINI_API_KEY: "g-k",
    GOOGLE_GEMINI_BASE_URL: url,
  });

  test("are reached with keys and addresses of the environment, and nothing else said", async () => {
    const providers = new Providers(checkGateway(undefined), { env: env() });
    expect(providers.usable()).toEqual(["openai", "anthropic", "google"]);
    const openai = await text(providers, "openai/gpt-5");
    expect([openai.text, openai.last.path, openai.last.headers.authorization]).toEqual([
      "hello",
      "/v1/responses",
      "Bearer sk-o",
    ]);
    const anthropic = await text(providers, "anthropic/claude-sonnet-4-5");
    expect([anthropic.text, anthropic.last.path, anthropic.last.headers["x-api-key"]]).toEqual([
      "hello",
      "/v1/messages",
      "sk-a",
    ]);
    const google = await text(providers, "google/gemini-2.5-flash");
    expect([google.text, google.last.path]).toEqual(["hello", "/v1beta/models/gemini-2.5-flash:generateContent"]);
    expect(google.last.headers["x-goog-api-key"]).toBe("g-k");
    for (const { usage, headers } of [openai, anthropic, google]) {
      expect([usage.inputTokens.total, usage.outputTokens.total]).toEqual([12, 3]);
      expect(headers["x-ratelimit-remaining-requests"]).toBe("41");
    }
  });

  test("embed", async () => {
    const providers = new Providers(checkGateway(undefined), { env: env() });
    for (const name of ["openai/text-embedding-3-small", "google/gemini-embedding-001"]) {
      const { embeddings } = await (await providers.embedding(target(name))).doEmbed({ values: ["a"] });
      expect(embeddings).toEqual([[0.5, 0.25]]);
    }
  });

  test("get what the configuration says beside the key", async () => {
    const openai = {
      apiKeyEnv: "TEAM_KEY",
      baseUrl: `${url}/proxy`,
      organisation: "org-1",
      project: "proj-1",
      api: "chat",
      headers: { "x-team": "search" },
    };
    const providers = new Providers(checkGateway({ providers: { openai } }), {
      env: { ...env(), TEAM_KEY: "sk-team" },
    });
    const { last } = await text(providers, "openai/gpt-5");
    expect(last.path).toBe("/proxy/chat/completions");
    expect(last.headers).toMatchObject({
      authorization: "Bearer sk-team",
      "openai-organization": "org-1",
      "openai-project": "proj-1",
      "x-team": "search",
    });
  });

  test("without a key say which variable is missing, and work once it is there", async () => {
    const changing: Record<string, string> = { OPENAI_BASE_URL: `${url}/v1` };
    const providers = new Providers(checkGateway(undefined), { env: changing });
    expect(providers.usable()).toEqual([]);
    const refused = async (name: string) => await providers.language(target(name)).catch((error: Error) => error);
    expect(await refused("openai/gpt-5")).toMatchObject({
      code: "PROVIDER_KEY_MISSING",
      message: "The provider openai has no API key: OPENAI_API_KEY is not set.",
      hint: "Set OPENAI_API_KEY in the environment of this process, or apiKeyEnv of gateway.providers.openai.",
    });
    expect(await refused("google/x")).toMatchObject({
      message: expect.stringContaining("GOOGLE_GENERATIVE_AI_API_KEY and GEMINI_API_KEY are not set"),
    });
    changing["OPENAI_API_KEY"] = "sk-\u00e9";
    expect(await refused("openai/gpt-5")).toMatchObject({ message: expect.stringContaining("no header can carry") });
    changing["OPENAI_API_KEY"] = "sk-new";
    expect((await text(providers, "openai/gpt-5")).last.headers.authorization).toBe("Bearer sk-new");
  });

  test("are asked once for one call: retries are the gateway's", async () => {
    const providers = new Providers(checkGateway(undefined), { env: env() });
    const before = seen.length;
    status = 429;
    const error = await text(providers, "anthropic/claude-sonnet-4-5").catch((thrown: unknown) => thrown);
    status = 200;
    expect(seen.length - before).toBe(1);
    expect(classify(error, { nowMs: 0 })).toMatchObject({
      kind: "rate_window",
      status: 429,
      message: expect.stringContaining("Slow down"),
    });
  });
});

describe("a compatible server", () => {
  test("needs no key, takes one by its name, and is asked for usage in streams", async () => {
    const config = { providers: { groq: { kind: "openai-compatible", baseUrl: `${url}/openai/v1` } } };
    const keyless = new Providers(checkGateway(config), { env: {} });
    expect(keyless.usable()).toEqual(["groq"]);
    expect((await text(keyless, "groq/meta/llama-3")).last).toMatchObject({
      path: "/openai/v1/chat/completions",
      body: { model: "meta/llama-3" },
    });
    expect(seen.at(-1)?.headers.authorization).toBeUndefined();
    const keyed = new Providers(checkGateway(config), { env: { GROQ_API_KEY: "gsk" } });
    const { stream } = await (await keyed.language(target("groq/llama"))).doStream(prompt);
    const parts = await all(stream);
    expect(seen.at(-1)).toMatchObject({
      headers: { authorization: "Bearer gsk" },
      body: { stream_options: { include_usage: true } },
    });
    expect(parts.at(-1)).toMatchObject({
      type: "finish",
      usage: { inputTokens: { total: 12 }, outputTokens: { total: 3 } },
    });
  });

  test("that names a variable for its key has one there", async () => {
    const config = { providers: { x: { kind: "openai-compatible", baseUrl: url, apiKeyEnv: "X_KEY" } } };
    await expect(new Providers(checkGateway(config), { env: {} }).language(target("x/y"))).rejects.toThrow(
      "X_KEY is not set",
    );
  });
});

describe("the user's own", () => {
  const own = (mine: object) =>
    new Providers(checkGateway({ providers: { mine: { model: () => null, ...mine } } }), { env: {} });
  const refused = async (model: unknown) =>
    await own({ model: () => model })
      .language(target("mine/x"))
      .catch((error: Error) => error);

  test("give whatever they give for a name, called as a method", async () => {
    const inner = new Providers(checkGateway({ providers: { up: { kind: "openai-compatible", baseUrl: url } } }), {
      env: {},
    });
    const model = await inner.language(target("up/y"));
    const asked: string[] = [];
    const mine = {
      model(this: { readonly embedding: unknown }, id: string) {
        asked.push(`${id} of ${typeof this.embedding}`);
        return model;
      },
      embedding: () => null,
    };
    expect((await text(own(mine), "mine/a/b")).text).toBe("hello");
    expect(asked).toEqual(["a/b of function"]);
    expect(own({}).usable()).toContain("mine");
  });

  test("that give no model are told what they gave", async () => {
    expect(await refused("openai/gpt-5")).toMatchObject({
      code: "PROVIDER_UNUSABLE",
      message: expect.stringContaining('the text "openai/gpt-5"'),
    });
    expect(await refused(undefined)).toMatchObject({ message: expect.stringContaining("has no doGenerate") });
    expect(await refused(Promise.resolve({}))).toMatchObject({ message: expect.stringContaining("a promise") });
    const newer = { specificationVersion: "v9", doGenerate() {}, doStream() {} };
    expect(await refused(newer)).toMatchObject({ message: expect.stringContaining('its specification is "v9"') });
    const throwing = own({
      model: () => {
        throw new Error("no such deployment");
      },
    });
    await expect(throwing.language(target("mine/x"))).rejects.toMatchObject({
      code: "PROVIDER_UNUSABLE",
      message: expect.stringContaining("no such deployment"),
    });
    await expect(own({}).embedding(target("mine/x"))).rejects.toThrow("it has no embeddings");
  });
});

test("a provider that nobody named is not known", async () => {
  const providers = new Providers(checkGateway(undefined), { env: {} });
  await expect(providers.language(target("opnai/x"))).rejects.toMatchObject({
    code: "MODEL_UNKNOWN",
    hint: expect.stringContaining("Did you mean openai/x?"),
  });
});

/** The least that each of the official packages takes for an answer. */
function answerTo(path: string, streams: boolean): [type: string, body: string] {
  const usage = { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 };
  if (path.endsWith("/chat/completions") && streams) {
    const chunk = (more: object) => `data: ${JSON.stringify({ id: "c", created: 1, model: "m", ...more })}\n\n`;
    const delta = chunk({ choices: [{ index: 0, delta: { content: "hello" }, finish_reason: "stop" }] });
    return ["text/event-stream", `${delta}${chunk({ choices: [], usage })}data: [DONE]\n\n`];
  }
  return ["application/json", JSON.stringify(jsonAnswer(path, usage))];
}

function jsonAnswer(path: string, usage: object): object {
  if (path.endsWith("/chat/completions")) {
    const message = { role: "assistant", content: "hello" };
    return {
      id: "c",
      object: "chat.completion",
      created: 1,
      model: "m",
      choices: [{ index: 0, message, finish_reason: "stop" }],
      usage,
    };
  }
  if (path.endsWith("/responses")) {
    const content = [{ type: "output_text", text: "hello", annotations: [] }];
    const output = [{ type: "message", id: "m1", role: "assistant", status: "completed", content }];
    const counted = { input_tokens: 12, output_tokens: 3, total_tokens: 15 };
    return {
      id: "r",
      object: "response",
      created_at: 1,
      model: "m",
      status: "completed",
      output,
      usage: counted,
      incomplete_details: null,
    };
  }
  if (path.endsWith("/messages")) {
    const counted = { input_tokens: 12, output_tokens: 3 };
    const content = [{ type: "text", text: "hello" }];
    return {
      id: "m",
      type: "message",
      role: "assistant",
      model: "m",
      content,
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: counted,
    };
  }
  if (path.endsWith("/embeddings"))
    return { data: [{ embedding: [0.5, 0.25], index: 0 }], usage: { prompt_tokens: 1, total_tokens: 1 } };
  if (path.includes("mbedContent"))
    return { embedding: { values: [0.5, 0.25] }, embeddings: [{ values: [0.5, 0.25] }] };
  const counted = { promptTokenCount: 12, candidatesTokenCount: 3, totalTokenCount: 15 };
  return {
    candidates: [{ content: { role: "model", parts: [{ text: "hello" }] }, finishReason: "STOP" }],
    usageMetadata: counted,
  };
}

async function all<Part>(stream: ReadableStream<Part>): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of stream as unknown as AsyncIterable<Part>) parts.push(part);
  return parts;
}
