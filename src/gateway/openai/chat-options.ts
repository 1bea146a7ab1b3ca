// A chat completion request as the call options of an AI SDK model.
import type {
  JSONSchema7,
  LanguageModelV3CallOptions,
  LanguageModelV3FunctionTool,
  LanguageModelV3ToolChoice,
  SharedV3ProviderOptions,
} from "@ai-sdk/provider";
import type { ProviderKind } from "../config.ts";
import type { Target } from "../roles.ts";
import { chatPrompt } from "./chat-prompt.ts";
import { type ChatBody, chatSchema, type Effort } from "./chat-schema.ts";
import { effortOptions } from "./effort.ts";
import { refusal, translatable } from "./refusal.ts";

/** @throws a refusal that names the parameter that cannot be expressed */
export function chatOptions(body: unknown, target: Target, kind: ProviderKind | "own"): LanguageModelV3CallOptions {
  const request = translatable(chatSchema, body, target);
  return {
    prompt: chatPrompt(request.messages, target),
    ...sampling(request),
    ...present("responseFormat", formatOf(request.response_format)),
    ...present("tools", toolsOf(request.tools)),
    ...present("toolChoice", choiceOf(request.tool_choice)),
    ...providerOptions(request.reasoning_effort, request.parallel_tool_calls, target, kind),
  };
}

function sampling(request: ChatBody): Partial<LanguageModelV3CallOptions> {
  const { stop } = request;
  return {
    ...present("maxOutputTokens", request.max_completion_tokens ?? request.max_tokens),
    ...present("temperature", request.temperature),
    ...present("topP", request.top_p),
    ...present("presencePenalty", request.presence_penalty),
    ...present("frequencyPenalty", request.frequency_penalty),
    ...present("seed", request.seed),
    ...present("stopSequences", typeof stop === "string" ? [stop] : stop),
  };
}

/** Options that every request has in common but that each provider calls by another name. */
export function providerOptions(
  effort: Effort | null | undefined,
  parallelToolCalls: boolean | null | undefined,
  target: Target,
  kind: ProviderKind | "own",
  effortParam = "reasoning_effort",
): { providerOptions?: SharedV3ProviderOptions } {
  const options: SharedV3ProviderOptions = {};
  if (effort !== null && effort !== undefined) {
    const said = effortOptions(effort, kind, target.model);
    if (said === null) throw refusal(target, effortParam, "cannot be expressed");
    Object.assign(options, said);
  }
  if (parallelToolCalls === false) {
    const said = oneToolAtATime(kind);
    if (said === null) throw refusal(target, "parallel_tool_calls", "cannot be false");
    const [[name, values] = []] = Object.entries(said);
    if (name !== undefined) options[name] = { ...options[name], ...values };
  }
  return Object.keys(options).length === 0 ? {} : { providerOptions: options };
}

function oneToolAtATime(kind: ProviderKind | "own"): SharedV3ProviderOptions | null {
  if (kind === "anthropic") return { anthropic: { disableParallelToolUse: true } };
  if (kind === "openai") return { openai: { parallelToolCalls: false } };
  return null;
}

function formatOf(format: ChatBody["response_format"]): LanguageModelV3CallOptions["responseFormat"] {
  if (format === null || format === undefined || format.type === "text") return undefined;
  if (format.type === "json_object") return { type: "json" };
  const { name, description, schema } = format.json_schema;
  return jsonFormat(name, description, schema);
}

export function jsonFormat(
  name: string,
  description: string | null | undefined,
  schema: Record<string, unknown> | undefined,
): LanguageModelV3CallOptions["responseFormat"] {
  return {
    type: "json",
    name,
    ...present("description", description),
    ...present("schema", schema as JSONSchema7 | undefined),
  };
}

function toolsOf(tools: ChatBody["tools"]): LanguageModelV3FunctionTool[] | undefined {
  return tools?.map(({ function: declared }) =>
    functionTool(declared.name, declared.description, declared.parameters, declared.strict),
  );
}

export function functionTool(
  name: string,
  description: string | null | undefined,
  parameters: Record<string, unknown> | null | undefined,
  strict: boolean | null | undefined,
): LanguageModelV3FunctionTool {
  return {
    type: "function",
    name,
    inputSchema: (parameters ?? { type: "object", properties: {} }) as JSONSchema7,
    ...present("description", description),
    ...present("strict", strict),
  };
}

function choiceOf(choice: ChatBody["tool_choice"]): LanguageModelV3ToolChoice | undefined {
  if (choice === null || choice === undefined) return undefined;
  return typeof choice === "string" ? { type: choice } : { type: "tool", toolName: choice.function.name };
}

/** A member that is only there when it says something. */
export function present<Name extends string, Value>(
  name: Name,
  value: Value | null | undefined,
): { [Key in Name]?: Value } {
  return value === null || value === undefined ? {} : ({ [name]: value } as { [Key in Name]: Value });
}
