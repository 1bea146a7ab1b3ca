// What an AI SDK model replied as the events of the Responses API, and as the response they add up to.
import { randomUUID } from "node:crypto";
import type { LanguageModelV3StreamPart } from "@ai-sdk/provider";
import { type ChatReply, partsOf } from "../reply.ts";
import { usageOf } from "../usage.ts";

export interface ResponseEvent {
  readonly type: string;
  readonly [member: string]: unknown;
}

type Json = Record<string, unknown>;
type Finish = Extract<LanguageModelV3StreamPart, { type: "finish" }>;

/** An item of the output that is being written. */
interface OpenItem {
  readonly kind: "text" | "reasoning" | "call";
  /** As the model's own stream calls it. */
  readonly id: string;
  readonly index: number;
  readonly item: Json;
  readonly deltas: string[];
}

/** What of the request every response repeats. */
const ECHOED = [
  "instructions",
  "max_output_tokens",
  "metadata",
  "parallel_tool_calls",
  "temperature",
  "tool_choice",
  "tools",
  "top_p",
  "text",
  "reasoning",
  "user",
] as const;
const ECHO_DEFAULTS: Json = {
  instructions: null,
  max_output_tokens: null,
  metadata: {},
  parallel_tool_calls: true,
  temperature: null,
  tool_choice: "auto",
  tools: [],
  top_p: null,
  text: { format: { type: "text" } },
  reasoning: { effort: null, summary: null },
};

export class ResponseWriter {
  readonly #response: Json;
  readonly #output: Json[] = [];
  readonly #open = new Map<string, OpenItem>();
  #number = 0;
  #isOpen = false;

  /** `model`: what to call it when the provider does not say. */
  constructor(body: Json, model: string) {
    const echoed = ECHOED.flatMap((name) =>
      body[name] === undefined || body[name] === null ? [] : [[name, body[name]]],
    );
    this.#response = {
      id: `resp_${randomUUID().replaceAll("-", "")}`,
      object: "response",
      created_at: Math.floor(Date.now() / 1_000),
      status: "in_progress",
      error: null,
      incomplete_details: null,
      model,
      previous_response_id: null,
      store: false,
      truncation: "disabled",
      usage: null,
      ...ECHO_DEFAULTS,
      ...Object.fromEntries(echoed),
    };
  }

  /** As it is now; whole after the part `finish`. */
  get response(): Json {
    return { ...this.#response, output: [...this.#output] };
  }

  events(part: LanguageModelV3StreamPart): ResponseEvent[] {
    switch (part.type) {
      case "response-metadata":
        if (part.modelId !== undefined) this.#response["model"] = part.modelId;
        if (part.timestamp !== undefined) this.#response["created_at"] = Math.floor(part.timestamp.getTime() / 1_000);
        return [];
      case "text-start":
      case "reasoning-start":
        return this.#begin(part.type === "text-start" ? "text" : "reasoning", part.id);
      case "text-delta":
      case "reasoning-delta":
        return this.#extend(part.type === "text-delta" ? "text" : "reasoning", part.id, part.delta);
      case "text-end":
      case "reasoning-end":
        return this.#end(part.type === "text-end" ? "text" : "reasoning", part.id);
      case "tool-input-start":
        return part.providerExecuted === true ? [] : this.#begin("call", part.id, part.toolName);
      case "tool-input-delta":
        return this.#open.has(keyOf("call", part.id)) ? this.#extend("call", part.id, part.delta) : [];
      case "tool-call":
        return part.providerExecuted === true ? [] : this.#call(part.toolCallId, part.toolName, part.input);
      case "finish":
        return this.#finish(part);
      default:
        return [];
    }
  }

  /** The first event of all is that there is a response; it is said when there is something in it. */
  #opening(): ResponseEvent[] {
    if (this.#isOpen) return [];
    this.#isOpen = true;
    const response = this.response;
    return [this.#event("response.created", { response }), this.#event("response.in_progress", { response })];
  }

  #begin(kind: OpenItem["kind"], id: string, toolName = ""): ResponseEvent[] {
    const opening = this.#opening();
    const index = this.#output.length;
    const item = newItem(kind, id, toolName);
    this.#output.push(item);
    this.#open.set(keyOf(kind, id), { kind, id, index, item, deltas: [] });
    const added = this.#event("response.output_item.added", { output_index: index, item: { ...item } });
    if (kind === "call") return [...opening, added];
    const name = kind === "text" ? "response.content_part.added" : "response.reasoning_summary_part.added";
    return [...opening, added, this.#event(name, { ...placeOf(kind, item, index), part: partOf(kind, "") })];
  }

  #extend(kind: OpenItem["kind"], id: string, delta: string): ResponseEvent[] {
    const begun = this.#open.has(keyOf(kind, id)) ? [] : this.#begin(kind, id);
    const open = this.#open.get(keyOf(kind, id)) as OpenItem;
    open.deltas.push(delta);
    const place = placeOf(kind, open.item, open.index);
    const logprobs = kind === "text" ? { logprobs: [] } : {};
    return [...begun, this.#event(DELTA[kind], { ...place, delta, ...logprobs })];
  }

  #end(kind: OpenItem["kind"], id: string): ResponseEvent[] {
    const open = this.#open.get(keyOf(kind, id));
    if (open === undefined) return [];
    this.#open.delete(keyOf(kind, id));
    const { item, index } = open;
    const text = open.deltas.join("");
    const place = placeOf(kind, item, index);
    const events: ResponseEvent[] = [];
    if (kind === "call") {
      item["arguments"] = text;
      events.push(
        this.#event("response.function_call_arguments.done", { ...place, name: item["name"], arguments: text }),
      );
    } else {
      const part = partOf(kind, text);
      item[kind === "text" ? "content" : "summary"] = [part];
      const [done, partDone] =
        kind === "text"
          ? ["response.output_text.done", "response.content_part.done"]
          : ["response.reasoning_summary_text.done", "response.reasoning_summary_part.done"];
      events.push(this.#event(done as string, { ...place, text, ...(kind === "text" ? { logprobs: [] } : {}) }));
      events.push(this.#event(partDone as string, { ...place, part }));
    }
    if (kind !== "reasoning") item["status"] = "completed";
    events.push(this.#event("response.output_item.done", { output_index: index, item: { ...item } }));
    return events;
  }

  /** The whole call, whether or not its arguments came bit by bit before. */
  #call(id: string, toolName: string, input: string): ResponseEvent[] {
    const open = this.#open.get(keyOf("call", id));
    if (open === undefined) {
      if (this.#output.some((item) => item["call_id"] === id)) return [];
      return [...this.#begin("call", id, toolName), ...this.#extend("call", id, input), ...this.#end("call", id)];
    }
    open.deltas.splice(0, open.deltas.length, input);
    return this.#end("call", id);
  }

  #finish({ finishReason, usage }: Finish): ResponseEvent[] {
    const opening = this.#opening();
    const ended = [...this.#open.values()].flatMap(({ kind, id }) => this.#end(kind, id));
    const cut = { length: "max_output_tokens", "content-filter": "content_filter" }[finishReason.unified as string];
    this.#response["status"] = cut === undefined ? "completed" : "incomplete";
    if (cut !== undefined) this.#response["incomplete_details"] = { reason: cut };
    const used = usageOf(usage);
    if (used !== null) {
      this.#response["usage"] = {
        input_tokens: used.inputTokens,
        input_tokens_details: { cached_tokens: used.cacheReadTokens },
        output_tokens: used.outputTokens,
        output_tokens_details: { reasoning_tokens: used.reasoningTokens },
        total_tokens: used.inputTokens + used.outputTokens,
      };
    }
    const type = cut === undefined ? "response.completed" : "response.incomplete";
    return [...opening, ...ended, this.#event(type, { response: this.response })];
  }

  #event(type: string, members: Json): ResponseEvent {
    return { type, sequence_number: this.#number++, ...members };
  }
}

/** The response to a request that was not streamed. */
export function responseOf(reply: ChatReply, body: Json, model: string): Json {
  const writer = new ResponseWriter(body, model);
  for (const part of partsOf(reply)) writer.events(part);
  return writer.response;
}

const DELTA: Readonly<Record<OpenItem["kind"], string>> = {
  text: "response.output_text.delta",
  reasoning: "response.reasoning_summary_text.delta",
  call: "response.function_call_arguments.delta",
};

function keyOf(kind: OpenItem["kind"], id: string): string {
  return `${kind} ${id}`;
}

function newItem(kind: OpenItem["kind"], id: string, toolName: string): Json {
  const own = randomUUID().replaceAll("-", "");
  switch (kind) {
    case "text":
      return { type: "message", id: `msg_${own}`, status: "in_progress", role: "assistant", content: [] };
    case "reasoning":
      return { type: "reasoning", id: `rs_${own}`, summary: [] };
    case "call":
      return {
        type: "function_call",
        id: `fc_${own}`,
        status: "in_progress",
        call_id: id,
        name: toolName,
        arguments: "",
      };
  }
}

function placeOf(kind: OpenItem["kind"], item: Json, index: number): Json {
  const place = { item_id: item["id"], output_index: index };
  if (kind === "text") return { ...place, content_index: 0 };
  return kind === "reasoning" ? { ...place, summary_index: 0 } : place;
}

function partOf(kind: "text" | "reasoning", text: string): Json {
  return kind === "text"
    ? { type: "output_text", text, annotations: [], logprobs: [] }
    : { type: "summary_text", text };
}
