// From a reply to an answer with nothing left open: ids, counted tokens, arguments, and the strange things that a fault asks for.

import type { Answer, AnsweredCall } from "./dialect.ts";
import { DIMENSIONS, dimensionsOf, embed } from "./embeddings.ts";
import type { Fault } from "./fault.ts";
import type { Finish, Reply, ToolCall, Usage } from "./reply.ts";
import type { FakeRequest, Operation } from "./request.ts";
import { sample } from "./sample.ts";
import { countTokens, cutToTokens } from "./tokens.ts";

const ANSWER_PREFIX: Readonly<Record<Operation, string>> = {
  chat: "chatcmpl-fake",
  responses: "resp_fake",
  messages: "msg_fake",
  generate: "fake",
  embeddings: "emb_fake",
};
const CALL_PREFIX: Readonly<Record<Operation, string>> = {
  chat: "call_fake",
  responses: "call_fake",
  messages: "toolu_fake",
  generate: "fake",
  embeddings: "none",
};
const ABSURD = 1_000_000_000_000;

/** `tag` keeps the ids of two fake providers apart. */
export function answerTo(
  request: FakeRequest,
  said: Reply,
  fault: Fault | null,
  tag: string,
  dimensions?: number,
): Answer {
  const reply = fault === null ? said : odd(said, fault);
  const id = `${ANSWER_PREFIX[request.operation]}_${tag}_${request.number.toString(36)}`;
  const toolCalls = (reply.toolCalls ?? []).map((call, at) => callOf(call, at, request, tag));
  const embeddings =
    request.operation === "embeddings"
      ? request.prompt.inputs.map((input) => embed(input, dimensionsOf(request.body) ?? dimensions ?? DIMENSIONS))
      : [];
  const uncut = reply.text ?? "";
  const most = fault?.kind === "huge_output" ? null : request.prompt.maxOutputTokens;
  const text = most === null ? uncut : cutToTokens(uncut, most, request.tokensPerByte);
  const natural: Finish = text.length < uncut.length ? "length" : toolCalls.length > 0 ? "tool-calls" : "stop";
  const reasoning = reply.reasoning ?? "";
  return {
    id,
    createdS: Math.floor(Date.now() / 1000),
    model: request.model,
    text,
    reasoning,
    toolCalls,
    finish: reply.finish ?? natural,
    usage: fault?.kind === "missing_usage" ? null : { ...counted(request, text, reasoning, toolCalls), ...reply.usage },
    chunkCharacters: reply.chunkCharacters ?? 16,
    embeddings,
  };
}

/** What the call really uses, whatever its answer says. */
export function counted(request: FakeRequest, text: string, reasoning: string, calls: readonly AnsweredCall[]): Usage {
  const count = (one: string): number => countTokens(one, request.tokensPerByte);
  const reasoningTokens = count(reasoning);
  const called = calls.reduce((sum, call) => sum + count(call.name) + count(call.arguments), 0);
  const outputTokens = request.operation === "embeddings" ? 0 : Math.max(1, count(text) + called + reasoningTokens);
  return { inputTokens: request.inputTokens, outputTokens, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens };
}

function callOf(call: ToolCall, at: number, request: FakeRequest, tag: string): AnsweredCall {
  const id = call.id ?? `${CALL_PREFIX[request.operation]}_${tag}_${request.number.toString(36)}_${at}`;
  const schema = request.tools.find((tool) => tool.name === call.name)?.schema;
  const args =
    call.arguments === undefined
      ? sample(schema ?? { type: "object" }, `${request.fingerprint}/${at}`)
      : call.arguments;
  return { id, name: call.name, arguments: typeof args === "string" ? args : JSON.stringify(args) };
}

function odd(reply: Reply, fault: Fault): Reply {
  const { text = "" } = reply;
  switch (fault.kind) {
    case "content_filter":
      return { ...reply, text: text.slice(0, Math.floor(text.length / 2)), toolCalls: [], finish: "content-filter" };
    case "zero_usage":
      return { ...reply, usage: { inputTokens: 0, outputTokens: 0, reasoningTokens: 0 } };
    case "absurd_usage":
      return { ...reply, usage: { inputTokens: ABSURD, outputTokens: ABSURD, cacheReadTokens: 2 * ABSURD } };
    case "huge_output": {
      const characters = fault.characters ?? 1_000_000;
      return { ...reply, text: "Much of it is fake. ".repeat(Math.ceil(characters / 20)).slice(0, characters) };
    }
    case "invented_tool":
      return { ...reply, toolCalls: [{ name: "tool_that_nobody_offered", arguments: { fake: true } }] };
    case "garbage_arguments": {
      const calls = reply.toolCalls?.length ? reply.toolCalls : [{ name: "tool_that_nobody_offered" }];
      return { ...reply, toolCalls: calls.map((call) => ({ ...call, arguments: '{"fake": tru' })) };
    }
    case "cut_character":
    case "split_characters":
      return {
        ...reply,
        text: `${text} – ünïcödé 😀 fäké 😀😀`,
        ...(reply.toolCalls ? { toolCalls: reply.toolCalls } : {}),
      };
    default:
      return reply;
  }
}
