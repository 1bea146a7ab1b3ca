// A thread as the model gets it.
import type { LanguageModelV3Message, LanguageModelV3Prompt, LanguageModelV3ToolResultPart } from "@ai-sdk/provider";
import {
  type AiMessage,
  type ChatMessage,
  type Content,
  type ContentBlock,
  type ToolMessage,
  textOfContent,
} from "./messages.ts";
import { assistantParts } from "./reply-message.ts";

type UserParts = Extract<LanguageModelV3Message, { role: "user" }>["content"];

/** Providers refuse a call without a result; a run that was stopped in the middle leaves some. */
const UNKNOWN_OUTCOME = "The call was interrupted: whether it took effect is not known.";

export function promptOf(instructions: string | null, messages: readonly ChatMessage[]): LanguageModelV3Prompt {
  const system = messages.flatMap((message) => (message.type === "system" ? [textOfContent(message.content)] : []));
  const said = instructions === null ? system : [instructions, ...system];
  const prompt: LanguageModelV3Prompt = said.map((content) => ({ role: "system", content }));
  for (const [at, message] of messages.entries()) {
    if (message.type === "human") prompt.push({ role: "user", content: userParts(message.content) });
    if (message.type !== "ai") continue;
    const content = assistantParts(message);
    if (content.length > 0) prompt.push({ role: "assistant", content });
    const results = resultsOf(message, messages, at + 1);
    if (results.length > 0) prompt.push({ role: "tool", content: results });
  }
  return prompt;
}

/** One for every call of the message, wherever in the thread it was answered. */
function resultsOf(
  message: AiMessage,
  messages: readonly ChatMessage[],
  from: number,
): LanguageModelV3ToolResultPart[] {
  const calls = [...message.tool_calls, ...(message.invalid_tool_calls ?? [])];
  if (calls.length === 0) return [];
  const answers = new Map<string, ToolMessage>();
  for (let at = from; at < messages.length && answers.size < calls.length; at++) {
    const answer = messages[at] as ChatMessage;
    if (answer.type === "tool" && !answers.has(answer.tool_call_id)) answers.set(answer.tool_call_id, answer);
    // Ids may come again in a later turn.
    if (answer.type === "ai") break;
  }
  return calls.map(({ id, name }) => {
    const answer = answers.get(id);
    const output: LanguageModelV3ToolResultPart["output"] =
      answer === undefined ? { type: "error-text", value: UNKNOWN_OUTCOME } : outputOf(answer);
    return { type: "tool-result", toolCallId: id, toolName: name, output };
  });
}

function outputOf(answer: ToolMessage): LanguageModelV3ToolResultPart["output"] {
  const kept = answer.additional_kwargs?.longhaul?.output;
  if (kept !== undefined) return kept;
  return { type: answer.status === "error" ? "error-text" : "text", value: answer.content };
}

function userParts(content: Content): UserParts {
  if (typeof content === "string") return [{ type: "text", text: content }];
  const parts = content.flatMap((block): UserParts => {
    if (typeof block["text"] === "string") return [{ type: "text", text: block["text"] }];
    const file = fileOf(block);
    return file === null ? [] : [file];
  });
  return parts.length > 0 ? parts : [{ type: "text", text: "" }];
}

type FilePart = Extract<UserParts[number], { type: "file" }>;

/** Pictures and files as LangChain's clients write them, in any of its fashions, and as the AI SDK's do. */
function fileOf(block: ContentBlock): FilePart | null {
  const nested = block["image_url"] ?? block["file"] ?? block;
  const source = typeof nested === "string" ? { url: nested } : (nested as Record<string, unknown>);
  const url = source["url"] ?? source["image_url"];
  const data = source["data"] ?? source["base64"] ?? source["file_data"] ?? block["data"];
  const said = block["mime_type"] ?? block["mimeType"] ?? block["mediaType"] ?? source["mediaType"];
  const mediaType =
    typeof said === "string" ? said : block.type.startsWith("image") ? "image/*" : "application/octet-stream";
  const place = typeof data === "string" ? data : url;
  if (typeof place !== "string") return null;
  const inline = /^data:([^;,]+)?(?:;[^,]*)?,(.*)$/s.exec(place);
  if (inline !== null) return { type: "file", data: inline[2] ?? "", mediaType: inline[1] ?? mediaType };
  if (typeof data === "string") return { type: "file", data, mediaType };
  return URL.canParse(place) ? { type: "file", data: new URL(place), mediaType } : null;
}
