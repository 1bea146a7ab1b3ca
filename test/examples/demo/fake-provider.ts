// A fake model provider that speaks the real wire protocols over HTTP: OpenAI's Chat Completions and Anthropic's Messages.
// It checks what the real ones check (key, version header, required fields) and answers in their exact shapes, errors
// included; only the words are made up. What it received is kept for the tests to look at.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const fakeKey = "sk-fake-0123456789";

export interface ReceivedCall {
  path: string;
  headers: IncomingMessage["headers"];
  // biome-ignore lint/suspicious/noExplicitAny: the tests read the bodies of two different protocols.
  body: any;
}

/** What the next call gets instead of the ordinary reply. */
export interface Scripted {
  status?: number;
  headers?: Record<string, string>;
  /** A string is sent as it is, anything else as JSON; "hang" never answers. */
  body: unknown;
}

export interface FakeProvider {
  /** For OPENAI_BASE_URL and ANTHROPIC_BASE_URL. */
  openAiUrl: string;
  anthropicUrl: string;
  calls: ReceivedCall[];
  /** The plan and the text of ordinary replies. */
  plan: unknown;
  text: string;
  next(reply: Scripted): void;
  close(): Promise<void>;
}

export async function startFakeProvider(): Promise<FakeProvider> {
  const script: Scripted[] = [];
  const server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fake: FakeProvider = {
    openAiUrl: `${origin}/v1`,
    anthropicUrl: origin,
    calls: [],
    plan: { queries: ["pool size", "pool limits"] },
    text: "Set `max` [1].",
    next: (reply) => void script.push(reply),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const call = {
      path: request.url ?? "",
      headers: request.headers,
      body: JSON.parse(Buffer.concat(chunks).toString()),
    };
    fake.calls.push(call);
    const scripted = script.shift();
    const reply = scripted ?? (call.path === "/v1/messages" ? message(call, fake) : chatCompletion(call, fake));
    if (reply.body === "hang") return;
    const text = typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body);
    response.writeHead(reply.status ?? 200, { "content-type": "application/json", ...reply.headers }).end(text);
  }
  return fake;
}

/** Errors as OpenAI sends them. */
export function openAiError(message: string, type: string, code: string | null = null): unknown {
  return { error: { message, type, param: null, code } };
}

/** Errors as Anthropic sends them. */
export function anthropicError(type: string, message: string): unknown {
  return { type: "error", error: { type, message }, request_id: "req_fake" };
}

function chatCompletion({ path, headers, body }: ReceivedCall, fake: FakeProvider): Scripted {
  if (path !== "/v1/chat/completions")
    return { status: 404, body: openAiError(`Unknown URL ${path}`, "invalid_request_error") };
  if (headers.authorization !== `Bearer ${fakeKey}`) {
    const shown = String(headers.authorization).replace("Bearer ", "");
    const message = `Incorrect API key provided: ${shown}.`;
    return { status: 401, body: openAiError(message, "invalid_request_error", "invalid_api_key") };
  }
  if (typeof body.model !== "string" || !Array.isArray(body.messages)) {
    return { status: 400, body: openAiError("you must provide a model and messages", "invalid_request_error") };
  }
  const planned = body.response_format?.type === "json_schema" && body.response_format.json_schema.strict === true;
  return { body: chatReply(planned ? JSON.stringify(fake.plan) : fake.text, body.model) };
}

/** A whole Chat Completions reply around some content. */
export function chatReply(
  content: string | null,
  model = "gpt-5-mini",
  more: { refusal?: string; finish?: string } = {},
): unknown {
  const message = { role: "assistant", content, refusal: more.refusal ?? null, annotations: [] };
  return {
    id: "chatcmpl-fake",
    object: "chat.completion",
    created: 1_790_000_000,
    model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: more.finish ?? "stop" }],
    usage: { prompt_tokens: 120, completion_tokens: 30, total_tokens: 150 },
  };
}

function message({ headers, body }: ReceivedCall, fake: FakeProvider): Scripted {
  if (headers["x-api-key"] !== fakeKey)
    return { status: 401, body: anthropicError("authentication_error", "invalid x-api-key") };
  if (headers["anthropic-version"] !== "2023-06-01") {
    return { status: 400, body: anthropicError("invalid_request_error", "anthropic-version: header is required") };
  }
  if (typeof body.max_tokens !== "number") {
    return { status: 400, body: anthropicError("invalid_request_error", "max_tokens: Field required") };
  }
  const tool = body.tool_choice?.type === "tool" ? body.tool_choice.name : null;
  const content = tool
    ? [{ type: "tool_use", id: "toolu_fake", name: tool, input: fake.plan }]
    : [{ type: "text", text: fake.text }];
  return { body: messageReply(content, tool ? "tool_use" : "end_turn", body.model) };
}

/** A whole Messages reply around some content blocks. */
export function messageReply(content: unknown[], stopReason: string, model = "claude"): unknown {
  const usage = { input_tokens: 100, output_tokens: 30, cache_creation_input_tokens: 0, cache_read_input_tokens: 20 };
  return {
    id: "msg_fake",
    type: "message",
    role: "assistant",
    model,
    content,
    stop_reason: stopReason,
    stop_sequence: null,
    usage,
  };
}
