// A response of OpenAI's Responses API as one object, and the items that it puts out.
import type { Wire } from "./conversation.ts";
import type { Answer } from "./dialect.ts";
import type { Usage } from "./reply.ts";

/** Reasoning, then the message, then the calls: each with an id that a later request may refer to. */
export function outputItems(answer: Answer): Wire[] {
  const items: Wire[] = [];
  if (answer.reasoning !== "") items.push(reasoningItem(answer, answer.reasoning));
  if (answer.text !== "" || answer.toolCalls.length === 0) items.push(messageItem(answer, answer.text, "completed"));
  for (const call of answer.toolCalls) items.push(callItem(call, call.arguments, "completed"));
  return items;
}

export function reasoningItem(answer: Answer, text: string): Wire {
  const summary = text === "" ? [] : [{ type: "summary_text", text }];
  return { id: answer.id.replace("resp_", "rs_"), type: "reasoning", summary, encrypted_content: null };
}

export function messageItem(answer: Answer, text: string, status: string): Wire {
  const content = status === "in_progress" ? [] : [{ type: "output_text", text, annotations: [], logprobs: [] }];
  return { id: answer.id.replace("resp_", "msg_"), type: "message", status, role: "assistant", content };
}

export function callItem(call: Answer["toolCalls"][number], args: string, status: string): Wire {
  const id = call.id.replace("call_", "fc_");
  return { id, type: "function_call", status, arguments: args, call_id: call.id, name: call.name };
}

export function wholeResponse(answer: Answer, body: Wire): Wire {
  const stopped = answer.finish === "length" || answer.finish === "content-filter";
  const reason = answer.finish === "length" ? "max_output_tokens" : "content_filter";
  return {
    ...responseHead(answer, body, stopped ? "incomplete" : "completed"),
    incomplete_details: stopped ? { reason } : null,
    output: outputItems(answer),
    usage: answer.usage === null ? null : responseUsage(answer.usage),
  };
}

/** The object as it is before there is any output. */
export function responseHead(answer: Answer, body: Wire, status: string): Wire {
  return {
    id: answer.id,
    object: "response",
    created_at: answer.createdS,
    status,
    background: false,
    error: null,
    incomplete_details: null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    model: answer.model,
    output: [],
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    reasoning: { effort: body.reasoning?.effort ?? null, summary: body.reasoning?.summary ?? null },
    service_tier: "default",
    store: body.store ?? true,
    temperature: body.temperature ?? 1,
    text: body.text ?? { format: { type: "text" } },
    tool_choice: body.tool_choice ?? "auto",
    tools: body.tools ?? [],
    top_p: body.top_p ?? 1,
    truncation: body.truncation ?? "disabled",
    usage: null,
    user: null,
    metadata: body.metadata ?? {},
  };
}

function responseUsage(usage: Usage): Wire {
  return {
    input_tokens: usage.inputTokens,
    input_tokens_details: { cached_tokens: usage.cacheReadTokens },
    output_tokens: usage.outputTokens,
    output_tokens_details: { reasoning_tokens: usage.reasoningTokens },
    total_tokens: usage.inputTokens + usage.outputTokens,
  };
}
