// The way in for other processes: GET /control/log, POST /control/behaviour and so on. Needs no key and is never witnessed.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Wire } from "./conversation.ts";
import type { FakeProvider } from "./handle.ts";

const HELP = {
  fake: true,
  what: "A fake model provider for tests: it speaks the wire protocols of OpenAI, Anthropic and Gemini, and no model is behind it.",
  read: {
    "GET /control": "this, and where the protocols are",
    "GET /control/log?after=0&open=1": "calls with a higher number; only those still open",
    "GET /control/counts": "totals, windows of the limits, and violations",
  },
  change: {
    "POST /control/behaviour": "rules, faults by chance, latency: replaces the one before",
    "POST /control/next": "one reply or an array: each for one request, before anything else",
    "POST /control/limits": "limits by model: replaces those before, and forgets their windows",
    "POST /control/use": "{key?, model, inputTokens, outputTokens}: somebody else uses up a limit",
    "POST /control/clear": "forgets the log, the queue and the counts",
  },
};

export function control(fake: FakeProvider, request: IncomingMessage, response: ServerResponse, url: URL): void {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    let status = 200;
    let result: unknown;
    try {
      const text = Buffer.concat(chunks).toString();
      result = act(fake, `${request.method} ${url.pathname}`, url.searchParams, text === "" ? null : JSON.parse(text));
      if (result === undefined) [status, result] = [404, HELP];
    } catch (error) {
      [status, result] = [400, { error: String(error) }];
    }
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(result));
  });
}

function act(fake: FakeProvider, what: string, query: URLSearchParams, body: Wire): unknown {
  switch (what) {
    case "GET /":
    case "GET /control":
      return { ...HELP, urls: fake.urls };
    case "GET /control/log": {
      const after = Number(query.get("after") ?? 0);
      const onlyOpen = query.get("open") === "1";
      return fake.calls.filter((call) => call.number > after && (!onlyOpen || call.outcome === "open"));
    }
    case "GET /control/counts":
      return { ...fake.counts(), windows: fake.windows(), limitViolations: fake.violations };
    case "POST /control/behaviour":
      fake.behave(body ?? {});
      return {};
    case "POST /control/next":
      fake.next(...(Array.isArray(body) ? body : [body]));
      return {};
    case "POST /control/limits":
      fake.limit(body ?? {});
      return {};
    case "POST /control/use":
      fake.use(body.model, body, body.key);
      return {};
    case "POST /control/clear":
      fake.clear();
      return {};
    default:
      return undefined;
  }
}
