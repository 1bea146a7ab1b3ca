// One call of a model, from the request's bytes to the answer's: read, decided, admitted, written, and gone wrong where it has to.
import type { IncomingHttpHeaders } from "node:http";
import { answerTo, counted } from "./answer.ts";
import { anthropicMessages } from "./anthropic-messages.ts";
import type { Brain, Decision } from "./brain.ts";
import { unansweredCalls, type Wire } from "./conversation.ts";
import { damaged, refused, sized } from "./damage.ts";
import type { Delivery } from "./deliver.ts";
import type { Answer, Complaint, Dialect, ErrorReply, FailureFacts, Memory, ProtocolDialect } from "./dialect.ts";
import { geminiEmbeddings, openAiEmbeddings } from "./embeddings.ts";
import { type Fault, isBreakOrDamage, isRefusal } from "./fault.ts";
import { geminiGenerate } from "./gemini.ts";
import { openAiChat } from "./openai-chat.ts";
import { openAiResponses, unknownReference } from "./openai-responses.ts";
import { rateHeaders } from "./rate-headers.ts";
import { globToRegExp, type Referee, type Verdict } from "./referee.ts";
import { FakeRequest, type Operation } from "./request.ts";
import type { Route } from "./routes.ts";
import type { WitnessedCall } from "./witness.ts";

/** What all calls of one provider share. */
export interface World {
  readonly brain: Brain;
  readonly memory: Memory;
  readonly tag: string;
  readonly tokensPerByte: number;
  /** Models that exist; null for all. */
  readonly models: readonly RegExp[] | null;
  /** By model, the tokens that fit into its context. */
  readonly contextTokens: readonly (readonly [RegExp, number])[];
  referee: Referee;
}

export interface ModelCall {
  readonly route: Route & { readonly operation: Operation };
  readonly protocol: ProtocolDialect;
  readonly body: Wire;
  readonly key: string;
  readonly headers: IncomingHttpHeaders;
  readonly witnessed: WitnessedCall;
  readonly arrivedMs: number;
  /** Items of a batch are not limited. */
  readonly limited: boolean;
  /** SSE, where the call streams; Gemini can also stream a JSON array. */
  readonly sse: boolean;
}

export interface Outcome {
  readonly delivery: Delivery;
  /** It was admitted against limits: release it at the end. */
  readonly admitted: boolean;
}

export function isModelCall(route: Route): route is Route & { readonly operation: Operation } {
  return ["chat", "responses", "messages", "generate", "embeddings"].includes(route.operation);
}

export function dialectOf({ protocol, operation }: { protocol: string; operation: Operation }): Dialect {
  switch (operation) {
    case "chat":
      return openAiChat;
    case "responses":
      return openAiResponses;
    case "messages":
      return anthropicMessages;
    case "generate":
      return geminiGenerate;
    case "embeddings":
      return protocol === "google" ? geminiEmbeddings : openAiEmbeddings;
  }
}

export async function performCall(world: World, call: ModelCall): Promise<Outcome> {
  const dialect = dialectOf(call.route);
  const request = requestOf(world, call, dialect);
  const facts: FailureFacts = {
    model: request.model,
    key: call.key,
    operation: request.operation,
    number: request.number,
    rates: null,
  };
  const refuse = (error: ErrorReply, fault: string | null): Outcome => {
    call.witnessed.fault = fault;
    return { delivery: refused(blank(call), error), admitted: false };
  };
  const complaint = complaintOf(world, call, dialect, request);
  if (complaint !== null) {
    return refuse(
      "kind" in complaint ? call.protocol.errorOf(complaint, facts) : call.protocol.complain(complaint),
      null,
    );
  }

  const decision = await world.brain.decide(request);
  const { fault } = decision;
  const answer = answerTo(request, decision.reply, fault, world.tag, world.brain.behaviour.dimensions);
  const used = counted(request, answer.text, answer.reasoning, answer.toolCalls);
  const need = { ...used, maxOutputTokens: request.prompt.maxOutputTokens };
  const verdict = call.limited ? world.referee.admit(call.key, request.model, need, nowMs()) : FREE;
  if (!verdict.admitted) {
    const limit = limitFault(verdict);
    return refuse(call.protocol.errorOf(limit, { ...facts, rates: verdict.rates }), `limit:${verdict.violation?.by}`);
  }
  call.witnessed.fault = fault?.kind ?? null;
  const delivery = deliveryOf(call, request, dialect, answer, decision, facts, verdict);
  if (fault === null || !isRefusal(fault.kind)) {
    Object.assign(call.witnessed, { usage: used, text: answer.text, toolCalls: answer.toolCalls });
    dialect.remember?.(answer, call.body, world.memory);
  }
  return { delivery, admitted: verdict !== FREE };
}

const FREE: Verdict = { admitted: true, rates: null, violation: null };

/** Milliseconds since 1970, finer than Date.now(). */
export function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

function requestOf(world: World, { route, body, key, headers, witnessed }: ModelCall, dialect: Dialect): FakeRequest {
  const model = route.id ?? (typeof body?.model === "string" ? body.model : "");
  const stream = route.streamed || body?.stream === true;
  Object.assign(witnessed, { model, stream });
  const { number, fingerprint, arrival, batch } = witnessed;
  const facts = { number, protocol: route.protocol, operation: route.operation, model, stream, key, headers, body };
  return new FakeRequest({ ...facts, fingerprint, arrival, batch, tokensPerByte: world.tokensPerByte }, () =>
    dialect.prompt(body, world.memory),
  );
}

/** What a real provider would not even ask its model. */
function complaintOf(world: World, call: ModelCall, dialect: Dialect, request: FakeRequest): Complaint | Fault | null {
  if (call.body === null || typeof call.body !== "object") {
    return {
      status: 400,
      message:
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP library correctly.)",
    };
  }
  const wrong = dialect.check(call.body, call.headers) ?? unreadable(request);
  if (wrong !== null) return wrong;
  if (world.models !== null && !world.models.some((model) => model.test(request.model)))
    return { kind: "unknown_model" };
  const unknown = request.operation === "responses" ? unknownReference(call.body, world.memory) : null;
  if (unknown !== null) return unknown;
  const unanswered = unansweredCalls(request.messages);
  if (unanswered !== null) return dialect.unanswered(unanswered.at, unanswered.ids);
  const room = world.contextTokens.find(([glob]) => glob.test(request.model))?.[1];
  return room !== undefined && request.inputTokens > room ? { kind: "context_length" } : null;
}

/** The right fields with the wrong things in them. */
function unreadable(request: FakeRequest): Complaint | null {
  try {
    void request.prompt;
    return null;
  } catch (error) {
    return { status: 400, message: `Invalid type in the request: ${error instanceof Error ? error.message : error}` };
  }
}

function limitFault({ violation }: Verdict): Fault {
  const {
    by,
    per = "minute",
    waitMs,
    limit,
    wanted,
  } = violation ?? { by: "requests" as const, waitMs: 0, limit: 0, wanted: 0 };
  if (by === "concurrent") {
    return { kind: "rate_limit", rateHeaders: true, message: `Too many concurrent requests: ${wanted} of ${limit}.` };
  }
  const fault: Fault = { kind: "rate_limit", by, per, rateHeaders: true };
  if (waitMs !== null) return { ...fault, retryAfterMs: waitMs };
  const message = `Request too large on ${by} per ${per}: Limit ${limit}, Requested ${wanted}. The input or output tokens must be reduced in order to run successfully.`;
  return { ...fault, message };
}

/** A delivery with nothing in it, due now. */
function blank({ protocol, witnessed, arrivedMs }: ModelCall): Delivery {
  const headers = protocol.headers(witnessed.number);
  return { status: 200, headers, pieces: [], dueMs: arrivedMs, chunkMs: 0, ending: "end", withHeaders: true };
}

function deliveryOf(
  call: ModelCall,
  request: FakeRequest,
  dialect: Dialect,
  answer: Answer,
  { reply, fault, latencyMs }: Decision,
  facts: FailureFacts,
  { rates }: Verdict,
): Delivery {
  const limits = rates === null ? {} : rateHeaders(call.protocol.protocol, rates);
  const empty = blank(call);
  const base = {
    ...empty,
    headers: { ...empty.headers, ...limits, ...reply.headers },
    dueMs: call.arrivedMs + latencyMs,
  };
  if (fault !== null && isRefusal(fault.kind)) return refused(base, refusalOf(call, fault, facts));
  const events = request.stream ? dialect.pieces(answer, call.body) : null;
  const streamed = events !== null && call.sse;
  const whole = events === null ? JSON.stringify(dialect.whole(answer, call.body)) : null;
  const delivery: Delivery =
    whole !== null
      ? sized({ ...base, pieces: [whole] }, "application/json")
      : streamed
        ? { ...base, headers: { ...base.headers, ...SSE }, pieces: events ?? [], chunkMs: reply.chunkMs ?? 0 }
        : {
            ...base,
            headers: { ...base.headers, "content-type": "application/json" },
            pieces: asArray(events ?? []),
            chunkMs: reply.chunkMs ?? 0,
          };
  if (fault === null || !isBreakOrDamage(fault.kind)) return delivery;
  const error = (): ErrorReply => refusalOf(call, { ...fault, kind: fault.error ?? "overloaded" }, facts);
  return damaged(delivery, fault, { streamed, error, streamError: () => dialect.streamError(error()) });
}

const SSE = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };

function refusalOf({ protocol }: ModelCall, fault: Fault, facts: FailureFacts): ErrorReply {
  if (fault.kind === "raw")
    return { status: fault.status ?? 500, headers: fault.headers ?? {}, body: fault.body ?? "" };
  const error = protocol.errorOf(fault, facts);
  return { ...error, status: fault.status ?? error.status, headers: { ...error.headers, ...fault.headers } };
}

/** Gemini without `alt=sse`: one JSON array that comes bit by bit. */
function asArray(events: readonly string[]): string[] {
  return events.map((event, at) => {
    const value = event.replace(/^data: /, "").trimEnd();
    return `${at === 0 ? "[" : ",\r\n"}${value}${at === events.length - 1 ? "]" : ""}`;
  });
}

export function patterns(globs: readonly string[]): RegExp[] {
  return globs.map(globToRegExp);
}
