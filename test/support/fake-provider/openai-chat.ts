// POST /v1/chat/completions, as OpenAI and everything compatible with it speaks.
import { type AskedTool, message, type Prompt, textOf, toolResult, type Wire } from "./conversation.ts";
import type { Answer, Complaint, Dialect } from "./dialect.ts";
import type { Finish, Usage } from "./reply.ts";
import { chunksOf, data } from "./sse.ts";

const FINISH: Readonly<Record<Finish, string>> = {
  stop: "stop",
  length: "length",
  "tool-calls": "tool_calls",
  "content-filter": "content_filter",
};

const ROLES = ["system", "developer", "user", "assistant", "tool", "function"];

export const openAiChat: Dialect = {
  operation: "chat",
  check: checkChat,
  prompt: readChat,
  unanswered: (_at, ids) => ({
    status: 400,
    message: `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${ids.join(", ")}`,
    param: "messages",
  }),
  whole: (answer) => ({
    ...envelope(answer, "chat.completion"),
    choices: [{ index: 0, message: messageOf(answer), logprobs: null, finish_reason: FINISH[answer.finish] }],
    ...(answer.usage === null ? {} : { usage: usageOf(answer.usage) }),
  }),
  pieces: piecesOf,
  streamError: (error) => data(error.body),
};

export function checkChat(body: Wire): Complaint | null {
  if (typeof body.model !== "string") return { status: 400, message: "you must provide a model parameter" };
  if (!Array.isArray(body.messages)) return missing("messages");
  if (body.messages.length === 0) {
    const message =
      "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.";
    return { status: 400, message, param: "messages", code: "empty_array" };
  }
  const at = body.messages.findIndex((one: Wire) => !ROLES.includes(one?.role));
  if (at < 0) return null;
  const message = `Invalid value: '${body.messages[at]?.role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.`;
  return { status: 400, message, param: `messages[${at}].role`, code: "invalid_value" };
}

export function missing(param: string): Complaint {
  const message = `Missing required parameter: '${param}'.`;
  return { status: 400, message, param, code: "missing_required_parameter" };
}

function readChat(body: Wire): Prompt {
  return {
    messages: body.messages.map((one: Wire) => {
      if (one.role === "tool") return toolResult(one.tool_call_id, textOf(one.content));
      const role = one.role === "developer" ? "system" : one.role === "function" ? "tool" : one.role;
      return message(role, textOf(one.content), one.tool_calls?.map(askedTool) ?? []);
    }),
    tools: (body.tools ?? [])
      .filter((tool: Wire) => tool.type === "function")
      .map((tool: Wire) => ({ name: tool.function.name, schema: tool.function.parameters ?? {} })),
    toolChoice: choiceOf(body.tool_choice, body.tool_choice?.function?.name),
    schema: schemaOf(body.response_format),
    maxOutputTokens: body.max_completion_tokens ?? body.max_tokens ?? null,
    inputs: [],
  };
}

export function choiceOf(choice: Wire, name: string | undefined): Prompt["toolChoice"] {
  if (typeof name === "string") return { name };
  return choice === "none" || choice === "required" ? choice : "auto";
}

function askedTool(call: Wire): AskedTool {
  return { id: call.id, name: call.function?.name ?? "", arguments: call.function?.arguments ?? "" };
}

function schemaOf(format: Wire): Wire | null {
  if (format?.type === "json_schema") return format.json_schema?.schema ?? {};
  return format?.type === "json_object" ? {} : null;
}

function envelope(answer: Answer, object: string): Record<string, unknown> {
  return {
    id: answer.id,
    object,
    created: answer.createdS,
    model: answer.model,
    service_tier: "default",
    system_fingerprint: "fp_fake",
  };
}

function messageOf(answer: Answer): Record<string, unknown> {
  const calls = answer.toolCalls.map(wireCall);
  return {
    role: "assistant",
    content: answer.text === "" && calls.length > 0 ? null : answer.text,
    refusal: null,
    annotations: [],
    // The field of the compatible servers: OpenAI itself does not show reasoning here.
    ...(answer.reasoning === "" ? {} : { reasoning_content: answer.reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

function wireCall(call: Answer["toolCalls"][number]): Record<string, unknown> {
  return { id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } };
}

export function usageOf(usage: Usage): Record<string, unknown> {
  return {
    prompt_tokens: usage.inputTokens,
    completion_tokens: usage.outputTokens,
    total_tokens: usage.inputTokens + usage.outputTokens,
    prompt_tokens_details: { cached_tokens: usage.cacheReadTokens, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: usage.reasoningTokens,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  };
}

function piecesOf(answer: Answer, body: Wire): string[] {
  const withUsage = body.stream_options?.include_usage === true;
  const head = envelope(answer, "chat.completion.chunk");
  const pieces: string[] = [];
  const say = (delta: unknown, finish: string | null = null): void => {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason: finish }];
    pieces.push(data({ ...head, choices, ...(withUsage ? { usage: null } : {}) }));
  };
  say({ role: "assistant", content: "", refusal: null });
  for (const part of chunksOf(answer.reasoning, answer.chunkCharacters)) say({ reasoning_content: part });
  for (const part of chunksOf(answer.text, answer.chunkCharacters)) say({ content: part });
  for (const [index, call] of answer.toolCalls.entries()) {
    say({ tool_calls: [{ index, id: call.id, type: "function", function: { name: call.name, arguments: "" } }] });
    for (const part of chunksOf(call.arguments, answer.chunkCharacters)) {
      say({ tool_calls: [{ index, function: { arguments: part } }] });
    }
  }
  say({}, FINISH[answer.finish]);
  if (withUsage && answer.usage !== null) pieces.push(data({ ...head, choices: [], usage: usageOf(answer.usage) }));
  pieces.push("data: [DONE]\n\n");
  return pieces;
}
