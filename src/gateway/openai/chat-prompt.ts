// The messages of a chat completion request as the prompt of an AI SDK model.
import type { LanguageModelV3Message, LanguageModelV3Prompt, LanguageModelV3ToolResultPart } from "@ai-sdk/provider";
import type { Target } from "../roles.ts";
import type { ChatMessage } from "./chat-schema.ts";
import { filePart } from "./media.ts";
import { refusal } from "./refusal.ts";
import { toolInput } from "./tool-input.ts";

type Of<Role extends ChatMessage["role"]> = Extract<ChatMessage, { role: Role }>;

/** @throws a refusal of what has no place in a prompt */
export function chatPrompt(messages: readonly ChatMessage[], target: Target): LanguageModelV3Prompt {
  const prompt: LanguageModelV3Message[] = [];
  const toolNames = new Map<string, string>();
  for (const [place, message] of messages.entries()) {
    const path = `messages[${place}]`;
    switch (message.role) {
      case "system":
      case "developer":
        prompt.push({ role: "system", content: plainText(message.content) });
        break;
      case "user":
        prompt.push({ role: "user", content: userParts(message, path, target) });
        break;
      case "assistant":
        for (const { id, function: called } of message.tool_calls ?? []) toolNames.set(id, called.name);
        prompt.push({ role: "assistant", content: assistantParts(message) });
        break;
      case "tool":
        addResult(prompt, toolResult(message, toolNames, path, target));
        break;
    }
  }
  return prompt;
}

/** Results that follow each other answer the calls of one message: they are one message, too. */
export function addResult(prompt: LanguageModelV3Message[], result: LanguageModelV3ToolResultPart): void {
  const last = prompt.at(-1);
  if (last?.role === "tool") last.content.push(result);
  else prompt.push({ role: "tool", content: [result] });
}

function plainText(content: string | readonly { readonly text: string }[]): string {
  return typeof content === "string" ? content : content.map(({ text }) => text).join("\n");
}

type UserContent = Extract<LanguageModelV3Message, { role: "user" }>["content"];

function userParts({ content }: Of<"user">, path: string, target: Target): UserContent {
  if (typeof content === "string") return [{ type: "text", text: content }];
  return content.map((part, place) => userPart(part, `${path}.content[${place}]`, target));
}

type UserPart = Exclude<Of<"user">["content"], string>[number];

function userPart(part: UserPart, where: string, target: Target): UserContent[number] {
  switch (part.type) {
    case "text":
      return { type: "text", text: part.text };
    case "image_url":
      return media(part.image_url.url, "image/*", undefined, `${where}.image_url.url`, target);
    case "input_audio": {
      const { data, format } = part.input_audio;
      return { type: "file", mediaType: format === "mp3" ? "audio/mpeg" : "audio/wav", data };
    }
    case "file":
      return media(part.file.file_data, "application/pdf", part.file.filename, `${where}.file.file_data`, target);
  }
}

function media(url: string, type: string, filename: string | undefined, where: string, target: Target) {
  const part = filePart(url, type, filename);
  if (part === null) throw refusal(target, where, "is neither a data: URL nor an address", "invalid_value");
  return part;
}

type AssistantContent = Extract<LanguageModelV3Message, { role: "assistant" }>["content"];

function assistantParts(message: Of<"assistant">): AssistantContent {
  const { content, refusal: refused, reasoning_content: reasoning, tool_calls: calls } = message;
  const texts =
    typeof content === "string"
      ? [content]
      : (content ?? []).map((part) => (part.type === "text" ? part.text : part.refusal));
  if (typeof refused === "string") texts.push(refused);
  return [
    ...(typeof reasoning === "string" && reasoning !== "" ? [{ type: "reasoning" as const, text: reasoning }] : []),
    ...texts.filter((text) => text !== "").map((text) => ({ type: "text" as const, text })),
    ...(calls ?? []).map(({ id, function: called }) => ({
      type: "tool-call" as const,
      toolCallId: id,
      toolName: called.name,
      input: toolInput(called.arguments),
    })),
  ];
}

function toolResult(
  { tool_call_id: toolCallId, content }: Of<"tool">,
  toolNames: ReadonlyMap<string, string>,
  path: string,
  target: Target,
): LanguageModelV3ToolResultPart {
  const toolName = toolNames.get(toolCallId);
  if (toolName === undefined)
    throw refusal(target, `${path}.tool_call_id`, "names no call of a message before it", "invalid_value");
  return { type: "tool-result", toolCallId, toolName, output: { type: "text", value: plainText(content) } };
}
