// A model's answer as a stream to an OpenAI client: a status as long as nothing has been said, then frames, then what it cost.
import { setTimeout as pause } from "node:timers/promises";
import { MODEL_STREAM_BYTES_MAX } from "../domain/limits.ts";
import type { OpenAiCall } from "../gateway/openai/call.ts";
import { completionChunks, responseEvents } from "../gateway/openai/replay.ts";
import type { Performed } from "../gateway/roles.ts";
import { FrameQueue } from "./frame-queue.ts";
import { jsonText } from "./json.ts";
import type { ModelRequest } from "./model-call.ts";
import { answerComment, budgetLeft, targetHeaders } from "./model-headers.ts";
import { openAiFailure } from "./openai-error.ts";
import type { Ctx } from "./request.ts";
import type { Services } from "./services.ts";
import { HEARTBEAT, SSE_HEADERS } from "./sse.ts";

type Sink = NonNullable<OpenAiCall["sink"]>;
type End = { readonly answer: Performed<string> } | { readonly error: unknown };

/**
 * Answers with an HTTP error when the call fails before it has said anything; unless that takes long, as a wait for a quota does: then
 * the answer is a stream of comments until there is more, so that nobody on the way takes the connection for dead.
 */
export async function modelStream(
  services: Services,
  c: Ctx,
  request: ModelRequest,
  make: (sink: Sink, abort: AbortSignal) => Promise<Performed<string>>,
): Promise<Response> {
  const queue = new FrameQueue(MODEL_STREAM_BYTES_MAX);
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  c.req.raw.signal.addEventListener("abort", leave, { once: true });
  let headers: Record<string, string> = {};
  const sink: Sink = (frames, { target, number }) => {
    headers = targetHeaders(target, number);
    return queue.push(frames);
  };
  const ended: Promise<End> = make(sink, gone.signal)
    .then(
      (answer) => ({ answer }),
      (error: unknown) => ({ error }),
    )
    .finally(() => queue.end());
  gone.signal.addEventListener("abort", () => queue.end(), { once: true });
  const silent = await firstWord(queue, ended, services.limits.heartbeatMs);
  if (silent !== null && "error" in silent) throw silent.error;
  try {
    return services.streams.respond(c, {
      source: (abort) => {
        abort.addEventListener("abort", leave, { once: true });
        return framesOf(services, c, request, queue, ended);
      },
      headers: { ...SSE_HEADERS, ...UNBUFFERED, ...headers },
      heartbeat: HEARTBEAT,
      finishes: true,
    });
  } catch (error) {
    leave();
    throw error;
  }
}

/** Without it the server's adapter waits whether more comes before it sends the first frame. */
const UNBUFFERED = { "transfer-encoding": "chunked" };

/** The end, when it came before any frame; null when there is a frame, or nothing yet after so long. */
async function firstWord(queue: FrameQueue, ended: Promise<End>, patienceMs: number): Promise<End | null> {
  const enough = new AbortController();
  const silence = pause(patienceMs, null, { signal: enough.signal, ref: false }).catch(() => null);
  const first = await Promise.race([queue.opened.then(() => "word" as const), silence]);
  enough.abort();
  return first === "word" && queue.isEmpty ? ended : null;
}

async function* framesOf(
  services: Services,
  c: Ctx,
  request: ModelRequest,
  queue: FrameQueue,
  ended: Promise<End>,
): AsyncGenerator<string> {
  yield* queue;
  const end = await ended;
  if ("error" in end) yield errorFrame(services, c, request, end.error);
  else {
    const left = await budgetLeft(services, c, request);
    yield `${[...replayed(request, end.answer)].join("")}${answerComment(end.answer, left)}${LAST[request.call.api]}`;
  }
}

const LAST: Readonly<Record<OpenAiCall["api"], string>> = { chat: "data: [DONE]\n\n", responses: "", embeddings: "" };

/** An answer that somebody else got first was not streamed here. */
function* replayed({ call }: ModelRequest, { source, result }: Performed<string>): Generator<string> {
  if (source === "provider") return;
  const whole = JSON.parse(result) as Record<string, unknown>;
  if (call.api === "chat")
    for (const chunk of completionChunks(whole, call.wantsUsage)) yield `data: ${JSON.stringify(chunk)}\n\n`;
  else for (const { event, data } of responseEvents(whole)) yield `event: ${event}\ndata: ${data}\n\n`;
}

/** OpenAI's libraries raise what is called `error` in the midst of a stream, and end it. */
function errorFrame(services: Services, c: Ctx, { call }: ModelRequest, thrown: unknown): string {
  const { error } = openAiFailure(c, thrown, services.log);
  if (call.api === "chat") return `data: ${jsonText({ error })}\n\n`;
  const { message, code, param } = error;
  return `event: error\ndata: ${jsonText({ type: "error", message, code, param, error })}\n\n`;
}
