// Streams that break in the middle, through the official packages: whatever each of them makes of it, it is a failure of the right kind.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chatJob } from "../../src/gateway/chat.ts";
import { checkGateway } from "../../src/gateway/check-config.ts";
import { classify } from "../../src/gateway/classify.ts";
import { closePools } from "../../src/gateway/http.ts";
import { Providers } from "../../src/gateway/providers.ts";

const chunk = (data: object) => `data: ${JSON.stringify(data)}\n\n`;
const event = (type: string, data: object) => `event: ${type}\n${chunk({ type, ...data })}`;

interface Wire {
  readonly begin: string;
  readonly end: string;
  readonly error: string;
}

/** How an answer begins, ends and fails on the wire of each API. */
const WIRES: Readonly<Record<string, Wire>> = {
  responses: {
    begin:
      event("response.created", {
        sequence_number: 0,
        response: { id: "r", created_at: 1, model: "m", service_tier: null },
      }) +
      event("response.output_item.added", { output_index: 0, item: { type: "message", id: "m1" } }) +
      event("response.output_text.delta", { item_id: "m1", output_index: 0, content_index: 0, delta: "hel" }),
    end: event("response.completed", {
      response: { incomplete_details: null, usage: { input_tokens: 5, output_tokens: 1 } },
    }),
    error: event("error", {
      sequence_number: 4,
      error: { type: "tokens", code: "rate_limit_exceeded", message: "slow", param: null },
    }),
  },
  chat: {
    begin: chunk({
      id: "c",
      created: 1,
      model: "m",
      choices: [{ index: 0, delta: { role: "assistant", content: "hel" }, finish_reason: null }],
    }),
    end: `${chunk({ id: "c", created: 1, model: "m", choices: [{ index: 0, delta: {}, finish_reason: "stop" }] })}data: [DONE]\n\n`,
    error: chunk({ error: { message: "Rate limit reached", type: "rate_limit_error", code: "rate_limit_exceeded" } }),
  },
  messages: {
    begin:
      event("message_start", {
        message: {
          id: "m",
          type: "message",
          role: "assistant",
          model: "m",
          content: [],
          stop_reason: null,
          usage: { input_tokens: 5, output_tokens: 1 },
        },
      }) +
      event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }) +
      event("content_block_delta", { index: 0, delta: { type: "text_delta", text: "hel" } }),
    end:
      event("message_delta", { delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 1 } }) +
      event("message_stop", {}),
    error: event("error", { error: { type: "rate_limit_error", message: "slow" } }),
  },
  gemini: {
    begin: chunk({ candidates: [{ content: { role: "model", parts: [{ text: "hel" }] } }] }),
    end: chunk({ candidates: [{ content: { role: "model", parts: [{ text: "lo" }] }, finishReason: "STOP" }] }),
    error: chunk({ error: { code: 429, message: "Quota exceeded", status: "RESOURCE_EXHAUSTED" } }),
  },
};

type Break = "none" | "end" | "destroy" | "error" | "garbage" | "half a character";
let how: Break;
let url: string;
const server = createServer((request, response) => {
  const wire = WIRES[apiOf(request.url ?? "")] as Wire;
  request.resume();
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(wire.begin);
  setTimeout(() => {
    if (how === "destroy") return request.socket.destroy();
    if (how === "garbage") response.write("data: {no json\n\n");
    if (how === "half a character")
      response.write(Buffer.concat([Buffer.from('data: {"a":"'), Buffer.from([0xf0, 0x9f])]));
    response.end(how === "error" ? wire.error : how === "none" ? wire.end : "");
  }, 10);
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

async function read(provider: string): Promise<string> {
  const config = {
    providers: {
      openai: { baseUrl: url },
      chat: { kind: "openai", api: "chat", baseUrl: url },
      compatible: { kind: "openai-compatible", baseUrl: url },
      anthropic: { baseUrl: url },
      google: { baseUrl: url },
    },
  };
  const env = { OPENAI_API_KEY: "x", ANTHROPIC_API_KEY: "x", GEMINI_API_KEY: "x" };
  const providers = new Providers(checkGateway(config), { env });
  const options = { prompt: [{ role: "user" as const, content: [{ type: "text" as const, text: "hi" }] }] };
  const job = chatJob({ options, stream: true }, (target) => providers.language(target));
  const attempt = { number: 1, maxOutputTokens: null, abort: new AbortController().signal, alive: () => undefined };
  try {
    const { result } = await job.send({ ...attempt, target: { provider, model: "m" } });
    return result.finishReason.unified;
  } catch (error) {
    return classify(error, { nowMs: 0 })?.kind ?? "cancelled";
  }
}

describe.each(["openai", "chat", "compatible", "anthropic", "google"])("%s", (provider) => {
  test.each([
    ["none", "stop"],
    ["end", "truncated_stream"],
    ["destroy", "truncated_stream"],
    ["garbage", "truncated_stream"],
    ["half a character", "truncated_stream"],
    ["error", "rate_window"],
  ] as const)("%s: %s", async (broken, kind) => {
    how = broken;
    expect(await read(provider)).toBe(kind);
  });
});

function apiOf(path: string): string {
  if (path.endsWith("/responses") || path.endsWith("/messages")) return path.slice(path.lastIndexOf("/") + 1);
  return path.endsWith("/chat/completions") ? "chat" : "gemini";
}
