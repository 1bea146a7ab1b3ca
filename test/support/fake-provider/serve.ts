// The HTTP side of the fake provider: takes a request in, has it witnessed, finds who answers it, and sees to its end.
import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { anthropic } from "./anthropic-errors.ts";
import type { Protocol, Wire } from "./conversation.ts";
import { refused, sized } from "./damage.ts";
import { type Delivery, deliver } from "./deliver.ts";
import type { ErrorReply, ProtocolDialect } from "./dialect.ts";
import { google } from "./gemini-errors.ts";
import { isComplaint, lookUp, type Shelves } from "./look-up.ts";
import { isModelCall, nowMs, performCall } from "./model-call.ts";
import { openAi } from "./openai-errors.ts";
import { type Route, routeOf } from "./routes.ts";
import { FAKE_KEY, type FakeProviderSettings } from "./settings.ts";
import type { Witness, WitnessedCall } from "./witness.ts";

export interface Site extends Shelves {
  readonly settings: FakeProviderSettings;
  readonly witness: Witness;
}

interface Exchange {
  readonly site: Site;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly protocol: ProtocolDialect;
  readonly route: Route;
  readonly bytes: Buffer;
  readonly key: string;
  readonly witnessed: WitnessedCall;
  readonly arrivedMs: number;
}

const PROTOCOLS: Readonly<Record<Protocol, ProtocolDialect>> = { openai: openAi, anthropic, google };

export function fingerprintOf(path: string, bytes: Uint8Array | string): string {
  return createHash("sha1").update(path).update("\n").update(bytes).digest("base64url").slice(0, 16);
}

export function serve(site: Site, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://fake");
  const method = request.method ?? "GET";
  const route = routeOf(method, url.pathname);
  const protocol = PROTOCOLS[route.protocol];
  const witnessed = witness(site, request, url.pathname, route);
  const arrivedMs = performance.now();
  response.setHeader("x-fake-provider", "no model is behind this");
  response.on("close", () => ended(site, response, witnessed));
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("error", () => undefined);
  request.on("end", () => {
    const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    witnessed.fingerprint = fingerprintOf(url.pathname, bytes);
    witnessed.arrival = site.witness.countArrival(witnessed.fingerprint);
    const error = (what: ErrorReply): void =>
      send(response, witnessed, refused(plain(protocol, witnessed, arrivedMs), what));
    const key = protocol.keyOf(request.headers, url.searchParams);
    if (key === null || !(site.settings.keys ?? [FAKE_KEY]).includes(key)) {
      keepBody(site, witnessed, bytes);
      return error(protocol.keyRefused(key));
    }
    if (route.operation === null) {
      keepBody(site, witnessed, bytes);
      return error(protocol.complain({ status: 404, message: `Invalid URL (${method} ${url.pathname})` }));
    }
    const exchange = { site, request, response, url, protocol, route, bytes, key, witnessed, arrivedMs };
    answer(exchange).catch((failure: unknown) => {
      witnessed.fault = "script";
      const message = `The script of this fake provider failed: ${failure instanceof Error ? failure.stack : String(failure)}`;
      const facts = { model: "", key, operation: null, number: witnessed.number, rates: null };
      error(protocol.errorOf({ kind: "server_error", message }, facts));
    });
  });
}

function witness(
  site: Site,
  request: IncomingMessage,
  path: string,
  { protocol, operation }: { protocol: Protocol; operation: string | null },
) {
  const headers = site.settings.brief === true ? {} : request.headers;
  return site.witness.arrive({
    method: request.method ?? "GET",
    path,
    protocol,
    operation: operation ?? "unknown",
    headers,
    startedAtMs: nowMs(),
    endedAtMs: null,
    outcome: "open",
    status: null,
    model: null,
    stream: false,
    body: null,
    fingerprint: "",
    arrival: 0,
    batch: null,
    fault: null,
    usage: null,
    text: null,
    toolCalls: [],
  });
}

/** Whole only when the last byte was handed over and no fault had cut it short. */
function ended({ witness, settings }: Site, response: ServerResponse, witnessed: WitnessedCall): void {
  if (!response.headersSent) witnessed.status = null;
  const broken = witnessed.fault !== null && /^(cut|reset|hang)/.test(witnessed.fault);
  const whole = response.writableFinished && !broken;
  const cut = witnessed.fault?.startsWith("cut") || witnessed.fault?.startsWith("reset");
  const outcome = whole ? (response.statusCode < 400 ? "answered" : "refused") : cut ? "cut" : "client_left";
  if (settings.brief === true) Object.assign(witnessed, { body: null, text: null, toolCalls: [] });
  witness.end(witnessed, outcome, nowMs());
}

async function answer(exchange: Exchange): Promise<void> {
  const { site, route, request, bytes, url, witnessed, protocol, key, arrivedMs, response } = exchange;
  if (!isModelCall(route)) return answerOther(exchange);
  const body = keepBody(site, witnessed, bytes);
  const sse = route.protocol !== "google" || url.searchParams.get("alt") === "sse";
  const call = { route, protocol, body, key, headers: request.headers, witnessed, arrivedMs, limited: true, sse };
  const { delivery, admitted } = await performCall(site.world, call);
  if (admitted) {
    const { referee } = site.world;
    const release = (): void => referee.release(key, witnessed.model ?? "");
    if (response.closed) release();
    else response.once("close", release);
  }
  send(response, witnessed, delivery);
}

/** Parsed where it is JSON, and kept for the log. */
function keepBody(site: Site, witnessed: WitnessedCall, bytes: Buffer): Wire {
  let body: Wire = null;
  try {
    body = bytes.length === 0 ? null : JSON.parse(bytes.toString());
    witnessed.body = body;
  } catch {
    witnessed.body = bytes.toString();
  }
  if (site.settings.brief === true) witnessed.body = null;
  return body;
}

function plain(protocol: ProtocolDialect, witnessed: WitnessedCall, arrivedMs: number): Delivery {
  const headers = protocol.headers(witnessed.number);
  return { status: 200, headers, pieces: [], dueMs: arrivedMs, chunkMs: 0, ending: "end", withHeaders: true };
}

function send(response: ServerResponse, witnessed: WitnessedCall, delivery: Delivery): void {
  if (delivery.withHeaders) witnessed.status = delivery.status;
  deliver(response, delivery);
}

/** Models, files and batches: always at once, always whole. */
async function answerOther(exchange: Exchange): Promise<void> {
  const { site, protocol, witnessed, arrivedMs, response, request, route, url, bytes, key } = exchange;
  const body = route.operation === "file_upload" ? null : keepBody(site, witnessed, bytes);
  const base = `http://${request.headers.host}${url.pathname.replace(/\/v1\/.*/, "")}`;
  const found = await lookUp(site, { route, bytes, body, headers: request.headers, key, base });
  const delivery = plain(protocol, witnessed, arrivedMs);
  if (found === null) {
    const message = `No such ${route.operation.split("_")[0]}: ${route.id}`;
    return send(response, witnessed, refused(delivery, protocol.complain({ status: 404, message })));
  }
  if (isComplaint(found)) return send(response, witnessed, refused(delivery, protocol.complain(found)));
  const [text, type] =
    typeof found === "string" ? [found, "application/octet-stream"] : [JSON.stringify(found), "application/json"];
  send(response, witnessed, sized({ ...delivery, pieces: [text] }, type));
}
