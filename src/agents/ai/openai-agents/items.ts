// A request of the OpenAI Agents SDK as a call of an AI SDK model.
import type {
  JSONSchema7,
  LanguageModelV3CallOptions,
  LanguageModelV3Message,
  LanguageModelV3Prompt,
  LanguageModelV3ToolResultPart,
  SharedV3ProviderOptions,
} from "@ai-sdk/provider";
import type { AgentInputItem, ModelRequest } from "@openai/agents";
import { fail } from "../../../domain/errors.ts";

type Part<Role extends string> = Extract<LanguageModelV3Message, { role: Role; content: object }>["content"][number];
type ToolOutput = LanguageModelV3ToolResultPart["output"];

/** @throws AGENTS_ITEM_UNSUPPORTED */
export function callOf(request: ModelRequest): LanguageModelV3CallOptions {
  refuseKeptElsewhere(request);
  const { modelSettings: settings, outputType, signal } = request;
  const tools = toolsOf(request);
  const options = providerOptionsOf(settings);
  const set: Partial<LanguageModelV3CallOptions> = {
    ...given("temperature", settings.temperature),
    ...given("topP", settings.topP),
    ...given("frequencyPenalty", settings.frequencyPenalty),
    ...given("presencePenalty", settings.presencePenalty),
    ...given("maxOutputTokens", settings.maxTokens),
    ...given("toolChoice", toolChoiceOf(settings.toolChoice)),
    ...given("providerOptions", options),
    ...given("abortSignal", signal),
  };
  return {
    prompt: promptOf(request),
    ...set,
    ...(tools.length === 0 ? {} : { tools }),
    ...(outputType === "text" || outputType.type !== "json_schema"
      ? {}
      : { responseFormat: { type: "json", name: outputType.name, schema: outputType.schema as JSONSchema7 } }),
  };
}

/** What OpenAI's servers remember, no other model knows, and a call without it would be another one. */
function refuseKeptElsewhere({ previousResponseId, conversationId, prompt }: ModelRequest): void {
  if (previousResponseId !== undefined || conversationId !== undefined)
    throw fail("AGENTS_ITEM_UNSUPPORTED", { what: "a conversation that is kept there" });
  if (prompt !== undefined) throw fail("AGENTS_ITEM_UNSUPPORTED", { what: "a prompt that is kept there" });
}

function promptOf({ systemInstructions, input }: ModelRequest): LanguageModelV3Prompt {
  const prompt: LanguageModelV3Prompt = [];
  if (systemInstructions !== undefined && systemInstructions !== "")
    prompt.push({ role: "system", content: systemInstructions });
  const items: AgentInputItem[] = typeof input === "string" ? [{ role: "user", content: input }] : input;
  for (const item of items) add(prompt, item);
  return prompt;
}

/** Consecutive items of one side are one message: a model says text and calls tools in one breath. */
function add(prompt: LanguageModelV3Prompt, item: AgentInputItem): void {
  switch (item.type) {
    case undefined:
    case "message":
      addMessage(prompt, item);
      return;
    case "function_call":
      push(prompt, "assistant", {
        type: "tool-call",
        toolCallId: item.callId,
        toolName: item.name,
        input: parsed(item.arguments),
        ...optionsOf(item),
      });
      return;
    case "function_call_result":
      push(prompt, "tool", {
        type: "tool-result",
        toolCallId: item.callId,
        toolName: item.name,
        output: outputOf(item.output),
      });
      return;
    case "reasoning":
      push(prompt, "assistant", {
        type: "reasoning",
        text: item.content.map(({ text }) => text).join(""),
        ...optionsOf(item),
      });
      return;
    default:
      throw fail("AGENTS_ITEM_UNSUPPORTED", { what: `an item of type ${item.type}` });
  }
}

type Message = Extract<AgentInputItem, { role: string }>;

function addMessage(prompt: LanguageModelV3Prompt, item: Message): void {
  if (item.role === "system") prompt.push({ role: "system", content: item.content });
  else if (item.role === "assistant") {
    for (const part of item.content) {
      if (part.type === "output_text") push(prompt, "assistant", { type: "text", text: part.text, ...optionsOf(item) });
      else if (part.type === "refusal") push(prompt, "assistant", { type: "text", text: part.refusal });
      else throw fail("AGENTS_ITEM_UNSUPPORTED", { what: `${part.type} of the assistant` });
    }
  } else if (typeof item.content === "string")
    prompt.push({ role: "user", content: [{ type: "text", text: item.content }] });
  else prompt.push({ role: "user", content: item.content.map(userPart) });
}

function userPart(part: { readonly type: string; readonly [member: string]: unknown }): Part<"user"> {
  if (part.type === "input_text") return { type: "text", text: String(part["text"]) };
  const place = part["image"] ?? part["file"];
  const url = typeof place === "string" ? place : (place as { url?: unknown } | undefined)?.url;
  if (typeof url === "string") {
    const inline = /^data:([^;,]+)?(?:;[^,]*)?,(.*)$/s.exec(url);
    const mediaType = inline?.[1] ?? (part.type === "input_image" ? "image/*" : "application/octet-stream");
    if (inline !== null) return { type: "file", data: inline[2] ?? "", mediaType };
    if (URL.canParse(url)) return { type: "file", data: new URL(url), mediaType };
  }
  throw fail("AGENTS_ITEM_UNSUPPORTED", { what: `${part.type} that is neither text nor at an address` });
}

function push<Role extends "assistant" | "tool">(prompt: LanguageModelV3Prompt, role: Role, part: Part<Role>): void {
  const last = prompt.at(-1);
  if (last?.role === role) (last.content as Part<Role>[]).push(part);
  else prompt.push({ role, content: [part] } as LanguageModelV3Message);
}

function outputOf(output: unknown): ToolOutput {
  if (typeof output === "string") return { type: "text", value: output };
  const parts = (Array.isArray(output) ? output : [output]) as { type?: string; text?: unknown }[];
  const text = parts.every(({ text }) => typeof text === "string");
  if (text) return { type: "text", value: parts.map((part) => part.text).join("") };
  return { type: "json", value: JSON.parse(JSON.stringify(output ?? null)) as never };
}

function toolsOf({ tools, handoffs }: ModelRequest): NonNullable<LanguageModelV3CallOptions["tools"]> {
  const functions = tools.map((tool) => {
    if (tool.type !== "function") throw fail("AGENTS_ITEM_UNSUPPORTED", { what: `the hosted tool ${tool.name}` });
    return {
      type: "function" as const,
      name: tool.name,
      description: tool.description,
      inputSchema: tool.parameters as JSONSchema7,
      strict: tool.strict,
    };
  });
  const others = handoffs.map(({ toolName, toolDescription, inputJsonSchema, strictJsonSchema }) => ({
    type: "function" as const,
    name: toolName,
    description: toolDescription,
    inputSchema: inputJsonSchema as JSONSchema7,
    strict: strictJsonSchema,
  }));
  return [...functions, ...others];
}

function toolChoiceOf(choice: string | undefined): LanguageModelV3CallOptions["toolChoice"] {
  if (choice === undefined) return undefined;
  if (choice === "auto" || choice === "required" || choice === "none") return { type: choice };
  return { type: "tool", toolName: choice };
}

function providerOptionsOf({
  reasoning,
  parallelToolCalls,
  text,
  providerData,
}: ModelRequest["modelSettings"]): SharedV3ProviderOptions | undefined {
  const openai = {
    ...given("reasoningEffort", reasoning?.effort ?? undefined),
    ...given("reasoningSummary", reasoning?.summary ?? undefined),
    ...given("parallelToolCalls", parallelToolCalls),
    ...given("textVerbosity", text?.verbosity ?? undefined),
  };
  const said = (providerData?.["providerOptions"] ?? {}) as SharedV3ProviderOptions;
  const all = Object.keys(openai).length === 0 ? said : { ...said, openai: { ...openai, ...said["openai"] } };
  return Object.keys(all).length === 0 ? undefined : (all as SharedV3ProviderOptions);
}

/** What the provider said of an item goes back to it. */
function optionsOf({ providerData }: { providerData?: Record<string, unknown> | undefined }): {
  providerOptions?: SharedV3ProviderOptions;
} {
  const kept = providerData?.["providerMetadata"];
  return kept === undefined ? {} : { providerOptions: kept as SharedV3ProviderOptions };
}

function parsed(args: string): unknown {
  try {
    return JSON.parse(args === "" ? "{}" : args);
  } catch {
    return args;
  }
}

function given<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]?: Value });
}
