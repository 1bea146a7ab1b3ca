// The client in a process of its own: calls at a constant rate, whatever becomes of those before; or as many as so many connections can make.
import { setTimeout as pause } from "node:timers/promises";
import { Agent, request } from "undici";

export interface Calls {
  readonly url: string;
  readonly model: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly stream: boolean;
}

export type LoadOrder =
  | { readonly type: "rate"; readonly calls: Calls; readonly perSecond: number; readonly count: number }
  | { readonly type: "connections"; readonly calls: Calls; readonly connections: number; readonly seconds: number };

/** Milliseconds of each call, from sending it to the first bytes of its answer and to the last. */
export interface CallTimes {
  readonly first: readonly number[];
  readonly last: readonly number[];
}

/** What came of an order: the times of the calls that went well, and what the first of the others failed with. */
export interface Done {
  readonly type: "done";
  readonly times: CallTimes;
  readonly perSecond: number;
  readonly failed: number;
  readonly failure: string | null;
}

export type LoadNews = { readonly type: "ready" } | Done;

/** A prompt of a usual kind: some instructions, a question. */
const MESSAGES = [
  {
    role: "system",
    content: "You are a careful assistant. Answer briefly, and say so when you do not know. ".repeat(10),
  },
  { role: "user", content: "How far is it from here to there, and how long does it take on foot?" },
];

class Load {
  readonly #agent: Agent;
  readonly #calls: Calls;
  readonly #body: string;
  readonly first: number[] = [];
  readonly last: number[] = [];
  readonly failures: string[] = [];

  constructor(calls: Calls, connections: number) {
    this.#agent = new Agent({ connections, pipelining: 1 });
    this.#calls = calls;
    this.#body = JSON.stringify({ model: calls.model, messages: MESSAGES, max_tokens: 100, stream: calls.stream });
  }

  /** Never rejects: calls that fail are told, and are no part of the times. */
  async call(): Promise<void> {
    try {
      await this.#call();
    } catch (error) {
      this.failures.push(error instanceof Error ? error.message : String(error));
    }
  }

  async #call(): Promise<void> {
    const { url, headers } = this.#calls;
    const startMs = performance.now();
    const { statusCode, body } = await request(`${url}/chat/completions`, {
      dispatcher: this.#agent,
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: this.#body,
    });
    let firstMs: number | null = null;
    let text = "";
    for await (const chunk of body) {
      firstMs ??= performance.now();
      text += String(chunk);
    }
    const endMs = performance.now();
    const isWhole = this.#calls.stream ? text.includes("data: [DONE]") : text.includes('"usage"');
    if (statusCode !== 200 || !isWhole) throw new Error(`HTTP ${statusCode}: ${text.slice(0, 500)}`);
    this.first.push((firstMs ?? endMs) - startMs);
    this.last.push(endMs - startMs);
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }
}

/** Nobody waits for an answer before the next call: a server that falls behind gets no rest. */
async function atRate(load: Load, perSecond: number, count: number): Promise<void> {
  const startMs = performance.now();
  const under: Promise<void>[] = [];
  for (let call = 0; call < count; call++) {
    const waitMs = startMs + (call * 1_000) / perSecond - performance.now();
    if (waitMs > 0) await pause(waitMs);
    under.push(load.call());
  }
  await Promise.all(under);
}

async function atOnce(load: Load, connections: number, seconds: number): Promise<void> {
  const untilMs = performance.now() + seconds * 1_000;
  const one = async (): Promise<void> => {
    while (performance.now() < untilMs) await load.call();
  };
  await Promise.all(Array.from({ length: connections }, one));
}

async function carryOut(order: LoadOrder): Promise<LoadNews> {
  const load = new Load(order.calls, order.type === "rate" ? 512 : order.connections);
  const startMs = performance.now();
  if (order.type === "rate") await atRate(load, order.perSecond, order.count);
  else await atOnce(load, order.connections, order.seconds);
  const passed = (performance.now() - startMs) / 1_000;
  await load.close();
  const { first, last, failures } = load;
  return {
    type: "done",
    times: { first, last },
    perSecond: last.length / passed,
    failed: failures.length,
    failure: failures[0] ?? null,
  };
}

process.on("message", async (order: LoadOrder | { type: "close" }) => {
  if (order.type === "close") process.exit(0);
  process.send?.(await carryOut(order));
});
process.send?.({ type: "ready" } satisfies LoadNews);
