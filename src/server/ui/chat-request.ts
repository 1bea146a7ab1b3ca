// What an AI SDK client (`useChat`) asks for with a POST: something new, something again, or an answer to what it was asked.
import { fail, isLonghaulError } from "../../domain/errors.ts";
import { hashInput } from "../../domain/hash.ts";

export interface UiMessage {
  readonly id: string;
  readonly role: "user" | "assistant" | "system";
  readonly parts: readonly UiPart[];
  readonly metadata?: unknown;
}

export interface UiPart {
  readonly type: string;
  readonly [member: string]: unknown;
}

export interface UiChatRequest {
  /** Of the chat. */
  readonly id: string;
  readonly messages: readonly UiMessage[];
  readonly trigger?: string;
  readonly messageId?: string;
  /** What the client's `body` adds. */
  readonly [other: string]: unknown;
}

/** How an approval was answered in the browser. */
export interface UiVerdict {
  readonly approvalId: string;
  readonly approved: boolean;
  readonly reason: string | null;
}

export const CHAT_ID_CHARS_MAX = 200;

/** @throws REQUEST_INVALID */
export function readChatRequest(body: unknown): UiChatRequest {
  const { id, messages } = (typeof body === "object" && body !== null ? body : {}) as Partial<UiChatRequest>;
  checkChatId(id);
  if (!Array.isArray(messages) || messages.length === 0) throw invalid("messages", "expected the messages of the chat");
  messages.forEach((message: UiMessage, at) => {
    if (typeof message?.id !== "string" || typeof message.role !== "string" || !Array.isArray(message.parts))
      throw invalid(`messages[${at}]`, "expected a message with id, role and parts");
  });
  return body as UiChatRequest;
}

/** @throws REQUEST_INVALID */
export function checkChatId(id: unknown): string {
  if (typeof id === "string" && id !== "" && id.length <= CHAT_ID_CHARS_MAX) return id;
  throw invalid("id", `expected the id of a chat, of at most ${CHAT_ID_CHARS_MAX} characters`);
}

export function invalid(path: string, message: string): Error {
  return fail("REQUEST_INVALID", { problem: `${path}: ${message}` }, { details: { issues: [{ path, message }] } });
}

/** The chat's last message, which is what a POST is about. */
export function lastMessageOf({ messages }: UiChatRequest): UiMessage {
  return messages[messages.length - 1] as UiMessage;
}

/** What a chat agent is given of a person's message. */
export function humanMessageOf({ id, parts }: UiMessage): unknown {
  const content = parts.flatMap((part): UiPart[] => {
    if (part.type === "text") return [{ type: "text", text: String(part["text"] ?? "") }];
    if (part.type !== "file") return [];
    return [{ type: "file", url: part["url"], mediaType: part["mediaType"], filename: part["filename"] }];
  });
  const [only] = content;
  const plain = content.length === 1 && only?.type === "text";
  return { type: "human", id, content: plain ? only["text"] : content };
}

export function verdictsOf({ parts }: UiMessage): UiVerdict[] {
  return parts.flatMap((part) => {
    const approval = part["approval"] as { id?: unknown; approved?: unknown; reason?: unknown } | undefined;
    if (part["state"] !== "approval-responded" || typeof approval?.id !== "string") return [];
    const reason = typeof approval.reason === "string" ? approval.reason : null;
    return [{ approvalId: approval.id, approved: approval.approved === true, reason }];
  });
}

/** Results of calls that the browser has made itself, as messages for a chat agent. */
export function toolMessagesOf({ parts }: UiMessage, unanswered: ReadonlySet<string>): unknown[] {
  return parts.flatMap((part) => {
    const { toolCallId, state } = part;
    if (typeof toolCallId !== "string" || !unanswered.has(toolCallId)) return [];
    if (state !== "output-available" && state !== "output-error") return [];
    const name = part.type === "dynamic-tool" ? part["toolName"] : part.type.replace(/^tool-/, "");
    const output = state === "output-error" ? part["errorText"] : part["output"];
    const content = typeof output === "string" ? output : JSON.stringify(output ?? null);
    return [
      { type: "tool", tool_call_id: toolCallId, name, content, status: state === "output-error" ? "error" : "success" },
    ];
  });
}

/** A POST that is sent twice by what lies between starts one run; what a person asks for again, another. */
export function idempotencyKeyOf(
  agent: string,
  { id, trigger, messageId }: UiChatRequest,
  message: UiMessage,
): string | null {
  if (trigger === "regenerate-message" || messageId !== undefined) return null;
  return `ui:${hashInput(JSON.stringify([agent, id, message.id, message.parts]))}`;
}

/** Answered by somebody before: whoever asks again is told how it went on. */
export function isAnswered(error: unknown): boolean {
  return isLonghaulError(error, "APPROVAL_TAKEN");
}
