// The chunks of a chat completion put together into the completion that they are the stream of.
import { isObject } from "./usage-members.ts";

type Json = Record<string, unknown>;

interface Choice {
  readonly message: Json;
  finishReason: unknown;
  logprobs: Json | null;
}

export class CompletionAssembly {
  #head: Json = {};
  readonly #choices = new Map<number, Choice>();

  add({ choices, ...head }: Json): void {
    for (const [name, value] of Object.entries(head)) if (value !== null) this.#head[name] = value;
    for (const choice of Array.isArray(choices) ? choices : []) if (isObject(choice)) this.#addChoice(choice);
  }

  text(): string {
    const choices = [...this.#choices.entries()].sort(([a], [b]) => a - b);
    return JSON.stringify({
      ...this.#head,
      object: "chat.completion",
      choices: choices.map(([index, { message, finishReason, logprobs }]) => ({
        index,
        message: { role: "assistant", content: null, refusal: null, ...withoutPlaces(message) },
        logprobs,
        finish_reason: finishReason,
      })),
    });
  }

  #addChoice({ index, delta, finish_reason: finishReason, logprobs }: Json): void {
    const place = typeof index === "number" ? index : 0;
    const known = this.#choices.get(place);
    const choice: Choice = known ?? { message: {}, finishReason: null, logprobs: null };
    if (known === undefined) this.#choices.set(place, choice);
    if (isObject(delta)) merge(choice.message, delta);
    if (typeof finishReason === "string") choice.finishReason = finishReason;
    if (!isObject(logprobs)) return;
    choice.logprobs ??= {};
    merge(choice.logprobs, logprobs);
  }
}

/** Members whose pieces replace each other instead of following each other. */
const WHOLE = new Set(["role", "id", "type", "name"]);

/** Texts follow each other, lists too, and their members that have an index find their place by it. */
function merge(into: Json, delta: Json): void {
  for (const [name, value] of Object.entries(delta)) {
    const before = into[name];
    if (value === null) into[name] ??= null;
    else if (typeof value === "string" && typeof before === "string" && !WHOLE.has(name)) into[name] = before + value;
    else if (Array.isArray(value)) into[name] = mergeList(Array.isArray(before) ? before : [], value);
    else if (isObject(value) && isObject(before)) merge(before, value);
    else into[name] = isObject(value) ? structuredClone(value) : value;
  }
}

function mergeList(before: unknown[], added: readonly unknown[]): unknown[] {
  for (const item of added) {
    const index = isObject(item) ? item["index"] : undefined;
    const known = before.find((one) => index !== undefined && isObject(one) && one["index"] === index);
    if (isObject(known) && isObject(item)) merge(known, item);
    else before.push(isObject(item) ? structuredClone(item) : item);
  }
  return before;
}

/** A tool call in a whole message has no index. */
function withoutPlaces(message: Json): Json {
  const calls = message["tool_calls"];
  if (!Array.isArray(calls)) return message;
  return { ...message, tool_calls: calls.map((call) => (isObject(call) ? without(call, "index") : call)) };
}

function without(object: Json, name: string): Json {
  const { [name]: _, ...rest } = object;
  return rest;
}
