// A request to the Responses API as the call options of an AI SDK model.
import type {
  LanguageModelV3CallOptions,
  LanguageModelV3FilePart,
  LanguageModelV3FunctionTool,
  LanguageModelV3Message,
  LanguageModelV3Prompt,
  LanguageModelV3TextPart,
  LanguageModelV3ToolChoice,
  LanguageModelV3ToolResultPart,
} from "@ai-sdk/provider";
import type { ProviderKind } from "../config.ts";
import type { Target } from "../roles.ts";
import { functionTool, jsonFormat, present, providerOptions } from "./chat-options.ts";
import { addResult } from "./chat-prompt.ts";
import { filePart } from "./media.ts";
import { refusal, translatable } from "./refusal.ts";
import { type InputItem, type InputPart, type ResponsesBody, responsesSchema } from "./responses-schema.ts";
import { toolInput } from "./tool-input.ts";

/** @throws a refusal that names the parameter that cannot be expressed */
export function responsesOptions(
  body: unknown,
  target: Target,
  kind: ProviderKind | "own",
): LanguageModelV3CallOptions {
  const request = translatable(responsesSchema, body, target);
  return {
    prompt: promptOf(request, target),
    ...present("maxOutputTokens", request.max_output_tokens),
    ...present("temperature", request.temperature),
    ...present("topP", request.top_p),
    ...present("responseFormat", formatOf(request.text?.format)),
    ...present("tools", toolsOf(request.tools)),
    ...present("toolChoice", choiceOf(request.tool_choice)),
    ...providerOptions(request.reasoning?.effort, request.parallel_tool_calls, target, kind, "reasoning.effort"),
  };
}

function promptOf({ instructions, input }: ResponsesBody, target: Target): LanguageModelV3Prompt {
  const prompt: LanguageModelV3Message[] = [];
  if (typeof instructions === "string") prompt.push({ role: "system", content: instructions });
  if (typeof input === "string") prompt.push({ role: "user", content: [{ type: "text", text: input }] });
  else {
    const toolNames = new Map<string, string>();
    for (const [place, item] of input.entries()) addItem(prompt, item, `input[${place}]`, toolNames, target);
  }
  return prompt;
}

function addItem(
  prompt: LanguageModelV3Message[],
  item: InputItem,
  path: string,
  toolNames: Map<string, string>,
  target: Target,
): void {
  switch (item.type) {
    case "function_call":
      toolNames.set(item.call_id, item.name);
      assistant(prompt).content.push({
        type: "tool-call",
        toolCallId: item.call_id,
        toolName: item.name,
        input: toolInput(item.arguments),
      });
      return;
    case "function_call_output":
      addResult(prompt, resultOf(item, path, toolNames, target));
      return;
    case "reasoning":
      // Thoughts of another model: it may not take them for its own, and their seal is not for it.
      return;
    default:
      addMessage(prompt, item, path, target);
  }
}

/** What one model said in one turn is one message, in however many items it came. */
function assistant(prompt: LanguageModelV3Message[]): Extract<LanguageModelV3Message, { role: "assistant" }> {
  const last = prompt.at(-1);
  if (last?.role === "assistant") return last;
  const message = { role: "assistant" as const, content: [] };
  prompt.push(message);
  return message;
}

function addMessage(
  prompt: LanguageModelV3Message[],
  { role, content }: Extract<InputItem, { role: string }>,
  path: string,
  target: Target,
): void {
  const parts = typeof content === "string" ? [{ type: "input_text" as const, text: content }] : content;
  const whole = parts.map((part, place) => partOf(part, `${path}.content[${place}]`, target));
  if (role === "user") {
    prompt.push({ role, content: whole });
    return;
  }
  const texts = whole.map((part, place) => {
    if (part.type === "text") return part;
    throw refusal(target, `${path}.content[${place}]`, `cannot be said by the ${role}`);
  });
  if (role === "assistant") assistant(prompt).content.push(...texts);
  else prompt.push({ role: "system", content: texts.map(({ text }) => text).join("\n") });
}

function partOf(part: InputPart, path: string, target: Target): LanguageModelV3TextPart | LanguageModelV3FilePart {
  switch (part.type) {
    case "refusal":
      return { type: "text", text: part.refusal };
    case "input_image":
      return media(part.image_url, "image/*", undefined, `${path}.image_url`, target);
    case "input_file":
      return media(
        part.file_data ?? part.file_url ?? "",
        "application/pdf",
        part.filename ?? undefined,
        `${path}.file_data`,
        target,
      );
    default:
      return { type: "text", text: part.text };
  }
}

function media(url: string, type: string, filename: string | undefined, path: string, target: Target) {
  const part = filePart(url, type, filename);
  if (part === null) throw refusal(target, path, "is neither a data: URL nor an address", "invalid_value");
  return part;
}

function resultOf(
  { call_id: toolCallId, output }: Extract<InputItem, { type: "function_call_output" }>,
  path: string,
  toolNames: ReadonlyMap<string, string>,
  target: Target,
): LanguageModelV3ToolResultPart {
  const toolName = toolNames.get(toolCallId);
  if (toolName === undefined)
    throw refusal(target, `${path}.call_id`, "names no function_call before it", "invalid_value");
  if (typeof output === "string")
    return { type: "tool-result", toolCallId, toolName, output: { type: "text", value: output } };
  const value = output.map((part, place) => contentOf(partOf(part, `${path}.output[${place}]`, target)));
  return { type: "tool-result", toolCallId, toolName, output: { type: "content", value } };
}

type ResultContent = Extract<LanguageModelV3ToolResultPart["output"], { type: "content" }>["value"][number];

function contentOf(part: LanguageModelV3TextPart | LanguageModelV3FilePart): ResultContent {
  if (part.type === "text") return { type: "text", text: part.text };
  const isImage = part.mediaType.startsWith("image/");
  if (part.data instanceof URL) {
    const { href: url } = part.data;
    return isImage ? { type: "image-url", url } : { type: "file-url", url };
  }
  const data = String(part.data);
  const { mediaType } = part;
  return isImage ? { type: "image-data", data, mediaType } : { type: "file-data", data, mediaType };
}

type Format = NonNullable<NonNullable<ResponsesBody["text"]>["format"]>;

function formatOf(format: Format | undefined): LanguageModelV3CallOptions["responseFormat"] {
  if (format === undefined || format.type === "text") return undefined;
  if (format.type === "json_object") return { type: "json" };
  return jsonFormat(format.name, format.description, format.schema);
}

function toolsOf(tools: ResponsesBody["tools"]): LanguageModelV3FunctionTool[] | undefined {
  return tools?.map(({ name, description, parameters, strict }) => functionTool(name, description, parameters, strict));
}

function choiceOf(choice: ResponsesBody["tool_choice"]): LanguageModelV3ToolChoice | undefined {
  if (choice === null || choice === undefined) return undefined;
  return typeof choice === "string" ? { type: choice } : { type: "tool", toolName: choice.name };
}
