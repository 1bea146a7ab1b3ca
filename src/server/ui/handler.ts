// `uiMessageStream`: an endpoint for `useChat` of the AI SDK, as a fetch handler, over agents that survive whatever happens to it.
import { v5 } from "uuid";
import type { AnyAgent } from "../../agents/ctx.ts";
import { fail, isLonghaulError, type LonghaulError } from "../../domain/errors.ts";
import type { Run } from "../../domain/run.ts";
import { newId } from "../../engine/ids.ts";
import type { SubmitOptions, Tenant } from "../../runtime/api.ts";
import { isUuid } from "../../runtime/uuid.ts";
import {
  checkChatId,
  humanMessageOf,
  idempotencyKeyOf,
  invalid,
  isAnswered,
  lastMessageOf,
  readChatRequest,
  toolMessagesOf,
  type UiChatRequest,
  type UiMessage,
  verdictsOf,
} from "./chat-request.ts";
import { frame, LAST_FRAME, type UiRunView, uiChunks } from "./run-stream.ts";

type Given<T> = T | ((request: Request) => T | Promise<T>);

export interface UiMessageStreamOptions {
  /** Whose runs they are: an open installation, or one of its tenants; by request, where the request says whose. */
  readonly longhaul: Given<Tenant>;
  readonly agent: AnyAgent | string;
  /** What the agent is given of a request. Default: `{ messages: [the person's last message] }`, as a chat agent wants it. */
  readonly input?: (chat: UiChatRequest) => unknown;
  /** What else a run is submitted with. */
  readonly submit?: (chat: UiChatRequest, request: Request) => SubmitOptions | Promise<SubmitOptions>;
  /** Who answers approvals, from authentication. Default `chat`. */
  readonly by?: Given<string>;
  /** Show words as they come. Default true; false: only what is recorded, so that nothing shown is ever replaced. */
  readonly live?: boolean;
}

/**
 * `POST` starts a run from the chat's last message, or answers what the agent has asked; `GET …/{chat id}/stream` goes on with the run
 * that is under way, from the message's start, or answers 204; `DELETE …/{chat id}/stream` cancels it. The run goes on, whoever listens.
 */
export function uiMessageStream(options: UiMessageStreamOptions): (request: Request) => Promise<Response> {
  return async (request) => {
    try {
      const tenant = await resolve(options.longhaul, request);
      if (request.method === "POST") return await post(options, tenant, request);
      const chatId = chatIdOf(request);
      if (request.method === "GET") return await resume(options, tenant, request, chatId);
      if (request.method === "DELETE") return await stop(tenant, chatId);
      return new Response(null, { status: 405, headers: { allow: "GET, POST, DELETE" } });
    } catch (error) {
      if (isLonghaulError(error)) return refusal(error);
      throw error;
    }
  };
}

async function post(options: UiMessageStreamOptions, tenant: Tenant, request: Request): Promise<Response> {
  const chat = readChatRequest(await bodyOf(request));
  const message = lastMessageOf(chat);
  const threadId = threadIdOf(tenant, chat.id);
  if (message.role === "user") {
    const input = options.input?.(chat) ?? { messages: [humanMessageOf(message)] };
    const run = await start(options, tenant, request, chat, { input, threadId, continues: null });
    return respond(tenant, request, { ...run, afterApprovals: null, live: options.live ?? true });
  }
  const verdicts = verdictsOf(message);
  if (verdicts.length > 0) return answer(options, tenant, request, threadId, message);
  const unanswered = await unansweredCalls(tenant, threadId);
  const messages = toolMessagesOf(message, unanswered);
  if (messages.length === 0)
    throw invalid("messages", "the last one is the agent's, and answers nothing that it has asked");
  const [before] = await tenant.list({ threadId, limit: 1 });
  const run = await start(options, tenant, request, chat, { input: { messages }, threadId, continues: before ?? null });
  // The client has the message already: it hears what is new of it, under the id it knows.
  const view = { runIds: run.runIds.slice(-1), messageId: null, afterApprovals: null, live: options.live ?? true };
  return respond(tenant, request, view);
}

interface Start {
  readonly input: unknown;
  readonly threadId: string;
  /** The run whose message this one goes on with. */
  readonly continues: Run | null;
}

async function start(
  { agent, submit }: UiMessageStreamOptions,
  tenant: Tenant,
  request: Request,
  chat: UiChatRequest,
  { input, threadId, continues }: Start,
): Promise<Pick<UiRunView, "runIds" | "messageId">> {
  const more = (await submit?.(chat, request)) ?? {};
  const idempotencyKey =
    more.idempotencyKey ?? idempotencyKeyOf(typeof agent === "string" ? agent : agent.name, chat, lastMessageOf(chat));
  const runId = newId();
  const origin = continues === null ? null : messageOf(continues);
  const ui = origin === null ? {} : { uiMessageId: origin.messageId, uiRuns: origin.runIds.join(" ") };
  const handle = await tenant.submit(agent as string, input, {
    threadId,
    ...(idempotencyKey === null ? { runId } : { idempotencyKey }),
    ...more,
    metadata: { ...more.metadata, ...ui },
  });
  return { runIds: [...(origin?.runIds ?? []), handle.runId], messageId: origin?.messageId ?? handle.runId };
}

/** A person has answered in the browser: the run that waits for it goes on. */
async function answer(
  options: UiMessageStreamOptions,
  tenant: Tenant,
  request: Request,
  threadId: string,
  message: UiMessage,
): Promise<Response> {
  const by = (await resolve(options.by ?? "chat", request)) || "chat";
  const runs = await tenant.list({ threadId, limit: 1 });
  const [run] = runs;
  const asked = run === undefined ? [] : await tenant.approvals({ runId: run.runId, limit: 200 });
  // An id is the client's word: it answers only what this chat was asked.
  const ours = verdictsOf(message).filter(({ approvalId }) =>
    asked.some((approval) => approval.approvalId === approvalId),
  );
  if (run === undefined || ours.length === 0)
    throw fail("APPROVAL_GONE", { approval: verdictsOf(message)[0]?.approvalId ?? "" });
  for (const { approvalId, approved, reason } of ours) {
    const said = { by, ...(reason === null ? {} : { comment: reason }) };
    try {
      await (approved ? tenant.approve(approvalId, said) : tenant.deny(approvalId, said));
    } catch (error) {
      if (!isAnswered(error)) throw error;
    }
  }
  return respond(tenant, request, {
    runIds: [run.runId],
    messageId: null,
    afterApprovals: new Set(ours.map(({ approvalId }) => approvalId)),
    live: options.live ?? true,
  });
}

async function resume(
  options: UiMessageStreamOptions,
  tenant: Tenant,
  request: Request,
  chatId: string,
): Promise<Response> {
  const threadId = threadIdOf(tenant, chatId);
  const activeRunId = (await tenant.thread(threadId))?.activeRunId ?? null;
  const run = activeRunId === null ? null : await tenant.get(activeRunId);
  if (run === null) return new Response(null, { status: 204 });
  return respond(tenant, request, { ...messageOf(run), afterApprovals: null, live: options.live ?? true });
}

async function stop(tenant: Tenant, chatId: string): Promise<Response> {
  const activeRunId = (await tenant.thread(threadIdOf(tenant, chatId)))?.activeRunId ?? null;
  if (activeRunId !== null) await tenant.cancel(activeRunId, "stopped in the chat");
  return new Response(null, { status: 204 });
}

/** A message is as long as the runs that went on with it. */
function messageOf({ runId, metadata }: Run): Pick<UiRunView, "runIds" | "messageId"> & { readonly messageId: string } {
  const { uiMessageId, uiRuns } = metadata;
  const before = typeof uiRuns === "string" ? uiRuns.split(" ").filter(isUuid) : [];
  return { runIds: [...before, runId], messageId: typeof uiMessageId === "string" ? uiMessageId : runId };
}

async function unansweredCalls(tenant: Tenant, threadId: string): Promise<Set<string>> {
  const state = (await tenant.thread(threadId))?.state as { messages?: unknown } | null | undefined;
  const messages = Array.isArray(state?.messages) ? (state.messages as Record<string, unknown>[]) : [];
  const at = messages.findLastIndex(({ type }) => type === "ai");
  const calls = (messages[at]?.["tool_calls"] ?? []) as { id: string }[];
  const answered = messages.slice(at + 1).map(({ tool_call_id: id }) => id);
  return new Set(calls.map(({ id }) => id).filter((id) => !answered.includes(id)));
}

const CHATS = "1f6f5c1a-3f0e-5d5a-9c43-8f5b1d1f6a10";

/** The chat's thread. Chat ids are the client's, and any text; a UUID is a thread's own. */
function threadIdOf({ tenantId }: Tenant, chatId: string): string {
  return isUuid(chatId) ? chatId : v5(JSON.stringify([tenantId, chatId]), CHATS);
}

/** `…/{chat id}/stream` */
function chatIdOf(request: Request): string {
  const [, id] = /\/([^/]+)\/stream\/?$/.exec(new URL(request.url).pathname) ?? [];
  try {
    return checkChatId(decodeURIComponent(id ?? ""));
  } catch (error) {
    if (error instanceof URIError) throw invalid("id", "it is not encoded as a part of a path");
    throw error;
  }
}

async function bodyOf(request: Request): Promise<unknown> {
  try {
    return await request.json();
  } catch {
    throw invalid("body", "expected JSON");
  }
}

function respond(tenant: Tenant, request: Request, view: UiRunView): Response {
  const gone = new AbortController();
  const abort = AbortSignal.any([request.signal, gone.signal]);
  const encoder = new TextEncoder();
  const chunks = uiChunks(tenant, view, abort);
  let next: ReturnType<typeof chunks.next> | null = null;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      next ??= chunks.next();
      const come = await withinMs(next, HEARTBEAT_MS);
      if (come === null) return controller.enqueue(encoder.encode(HEARTBEAT));
      next = null;
      const { done, value } = come;
      if (!done) return controller.enqueue(encoder.encode(frame(value)));
      if (!abort.aborted) controller.enqueue(encoder.encode(LAST_FRAME));
      controller.close();
    },
    cancel() {
      gone.abort();
    },
  });
  return new Response(body, {
    headers: {
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
      "x-vercel-ai-ui-message-stream": "v1",
      "x-longhaul-run-id": view.runIds.at(-1) ?? "",
    },
  });
}

/** Proxies close what is silent; a comment is nothing to a client. */
const HEARTBEAT_MS = 15_000;
const HEARTBEAT = ": heartbeat\n\n";

async function withinMs<T>(work: Promise<T>, ms: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function resolve<T>(given: Given<T>, request: Request): Promise<T> {
  return typeof given === "function" ? (given as (request: Request) => T | Promise<T>)(request) : given;
}

function refusal({ code, status, message, hint, details }: LonghaulError): Response {
  return Response.json({ code, message, hint, details: details ?? null }, { status });
}
