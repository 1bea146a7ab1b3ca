// A model provider that always takes the same time: OpenAI's chat completions, whole or as a stream, in a process of its own.
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

export type UpstreamNews = { readonly type: "ready"; readonly url: string };

const LATENCY_MS = Number(process.env["BENCH_LATENCY_MS"]);
/** Of a stream: so many words after the first, and the time between them. */
const WORDS = 8;
const WORD_MS = 5;

const USAGE = { prompt_tokens: 48, completion_tokens: 9, total_tokens: 57 };
const FRAME = { id: "chatcmpl-bench", object: "chat.completion.chunk", created: 1_700_000_000, model: "gpt-5-mini" };
const MESSAGE = { role: "assistant", content: "one two three four five six seven eight nine" };
const WHOLE = JSON.stringify({
  ...FRAME,
  object: "chat.completion",
  usage: USAGE,
  choices: [{ index: 0, finish_reason: "stop", message: MESSAGE }],
});

const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8").on("data", (text: string) => (body += text));
  request.on("end", () => void answer(JSON.parse(body) as Asked, response));
});

interface Asked {
  readonly stream?: boolean;
  readonly stream_options?: { readonly include_usage?: boolean };
}

async function answer({ stream, stream_options }: Asked, response: ServerResponse): Promise<void> {
  await pause(LATENCY_MS);
  if (stream !== true) {
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(WHOLE) });
    response.end(WHOLE);
    return;
  }
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(frame([{ index: 0, delta: { role: "assistant", content: "one" }, finish_reason: null }]));
  for (let word = 0; word < WORDS && !response.destroyed; word++) {
    await pause(WORD_MS);
    response.write(frame([{ index: 0, delta: { content: " word" }, finish_reason: null }]));
  }
  const usage = stream_options?.include_usage === true ? frame([], { usage: USAGE }) : "";
  response.end(`${frame([{ index: 0, delta: {}, finish_reason: "stop" }])}${usage}data: [DONE]\n\n`);
}

function frame(choices: readonly object[], more: object = {}): string {
  return `data: ${JSON.stringify({ ...FRAME, choices, ...more })}\n\n`;
}

process.on("message", (order: { type: "close" }) => {
  if (order.type === "close") process.exit(0);
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as AddressInfo;
  process.send?.({ type: "ready", url: `http://127.0.0.1:${port}/v1` } satisfies UpstreamNews);
});
