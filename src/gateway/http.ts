// How requests reach providers: one pool of kept-alive connections per process, and a `fetch` over it that costs a third of fetch's time.
import { Agent, type Dispatcher, request } from "undici";

export { request };

/** Longer than a model thinks between two calls of one run; shorter than any balancer's patience. */
const KEEP_ALIVE_MS = 30_000;
const CONNECT_MS = 10_000;
/** Statuses whose responses have no body. */
const BODILESS = new Set([101, 204, 205, 304]);

/** By their size: in one process there is one, unless gateways are told to differ. */
const pools = new Map<number, Agent>();

/**
 * A `fetch` for the providers of the AI SDK. How long an answer may take is not its business: whoever calls has watchdogs of his own.
 * Idle connections do not keep the process alive.
 */
export function pooledFetch(connections: number): typeof globalThis.fetch {
  const dispatcher = poolOf(connections);
  return async (input, init) => {
    const body = init?.body ?? null;
    const isPlain = typeof input !== "object" || input instanceof URL;
    if (!isPlain || !(body === null || typeof body === "string" || body instanceof Uint8Array)) {
      return await globalThis.fetch(input, init); // uploads and other rare things
    }
    const response = await request(input, {
      dispatcher,
      method: (init?.method ?? "GET") as Dispatcher.HttpMethod,
      headers: { "accept-encoding": "identity", ...plainHeaders(init?.headers) },
      body,
      signal: init?.signal ?? null,
    });
    return toResponse(response);
  };
}

/** Closes the pools, also with requests in flight: for tests and for the very end. */
export async function closePools(): Promise<void> {
  const agents = [...pools.values()];
  pools.clear();
  await Promise.all(agents.map((agent) => agent.destroy()));
}

/** The pool of this size, for whoever sends requests without `fetch`. */
export function poolOf(connections: number): Agent {
  const known = pools.get(connections);
  if (known !== undefined) return known;
  const agent = new Agent({
    connections,
    allowH2: false,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: 10 * KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: CONNECT_MS, keepAlive: true },
  });
  pools.set(connections, agent);
  return agent;
}

function plainHeaders(headers: RequestInit["headers"]): Record<string, string> {
  if (headers === undefined) return {};
  return headers instanceof Headers || Array.isArray(headers)
    ? Object.fromEntries(headers)
    : { ...(headers as Record<string, string>) };
}

function toResponse({ statusCode, headers, body }: Dispatcher.ResponseData): Response {
  const sent = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) sent.append(name, one);
  }
  if (!BODILESS.has(statusCode)) return new Response(streamOf(body), { status: statusCode, headers: sent });
  body.resume();
  return new Response(null, { status: statusCode < 200 ? 200 : statusCode, headers: sent });
}

/** Chunk by chunk as they are asked for, so that a slow reader slows the provider down and nothing piles up. */
function streamOf(body: Dispatcher.ResponseData["body"]): ReadableStream<Uint8Array> {
  body.on("error", () => {}); // whoever reads is told; nobody reading is no reason to end the process
  const chunks = body[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done === true) controller.close();
      else controller.enqueue(value as Uint8Array);
    },
    cancel(reason) {
      body.destroy(reason instanceof Error ? reason : undefined);
    },
  });
}
