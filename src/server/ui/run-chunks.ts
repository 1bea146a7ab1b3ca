// A run as the one message of an AI SDK client: its tokens and journal, translated event by event.
import type { RunEvent } from "../../domain/entry.ts";
import { readStepKey } from "../../domain/step-key.ts";
import type { TokenEvent } from "../../domain/tokens.ts";
import { carriedBy, emitted, failureOf, questionOf } from "../entries.ts";
import { ShownMessage, type UiChunk } from "./shown-message.ts";

/** What a tool's own steps say is not said to the person. */
const INSIDE_TOOL = / steps@[^/]*#\d+\//;

type Parts = readonly { readonly type: string; readonly [member: string]: unknown }[];

export class RunChunks {
  readonly #messages = new Map<string, ShownMessage>();
  /** Tool calls that wait for their results, by id. */
  readonly #calls = new Set<string>();
  /** Open questions to a person, by the key of the step that asked. */
  readonly #asked = new Map<string, string>();
  #stepOpen = false;
  #saidSomething = false;
  #finishReason: string | undefined;

  /** Whether a person is asked about a tool call. */
  get asks(): boolean {
    return this.#asked.size > 0;
  }

  get finishReason(): string | undefined {
    return this.#finishReason;
  }

  get saidSomething(): boolean {
    return this.#saidSomething;
  }

  *tokens(event: TokenEvent): Generator<UiChunk> {
    if (INSIDE_TOOL.test(event.key)) return;
    const known = this.#messages.get(event.key);
    if (known !== undefined && event.reset) yield* known.discard();
    const message = known ?? (yield* this.#begin(event.key));
    for (const part of event.parts) yield* message.part(part);
  }

  *event(event: RunEvent): Generator<UiChunk> {
    switch (event.kind) {
      case "step":
        yield* this.#step(event);
        return;
      case "emit": {
        const { name, payload } = emitted(event);
        yield { type: `data-${String(name)}`, data: payload };
        return;
      }
      case "wait":
        yield* this.#wait(event);
        return;
      case "received":
        this.#asked.delete(event.key ?? "");
        return;
      default:
        return;
    }
  }

  *end(): Generator<UiChunk> {
    yield* this.#closeStep();
  }

  *#step(event: RunEvent): Generator<UiChunk> {
    const key = event.key ?? "";
    if (INSIDE_TOOL.test(key)) return;
    const { mark } = readStepKey(key);
    if (mark !== null && this.#calls.delete(mark)) {
      yield result(mark, event);
      return;
    }
    const shown = this.#messages.get(key);
    this.#messages.delete(key);
    const value = carriedBy(event);
    const content = contentOf(value, shown !== undefined);
    if (content === null) {
      if (shown !== undefined) yield* shown.discard();
      return;
    }
    const message = shown ?? (yield* this.#begin(key));
    this.#messages.delete(key);
    yield* message.record(content);
    this.#saidSomething ||= content.some(({ type }) => type === "text");
    for (const part of content)
      if (part.type === "tool-call" && part["providerExecuted"] !== true) this.#calls.add(String(part["toolCallId"]));
    this.#finishReason = finishReasonOf(value);
  }

  *#wait(event: RunEvent): Generator<UiChunk> {
    const question = questionOf(event);
    const { mark } = readStepKey(event.key ?? "");
    if (question === null || mark === null || !this.#calls.has(mark)) return;
    this.#asked.set(event.key ?? "", question.approvalId);
    yield { type: "tool-approval-request", approvalId: question.approvalId, toolCallId: mark };
  }

  *#begin(key: string): Generator<UiChunk, ShownMessage> {
    yield* this.#closeStep();
    const message = new ShownMessage(key);
    this.#messages.set(key, message);
    this.#stepOpen = true;
    yield { type: "start-step" };
    return message;
  }

  /** What was never answered will not be any more: the model has gone on. */
  *#closeStep(): Generator<UiChunk> {
    if (!this.#stepOpen) return;
    this.#stepOpen = false;
    yield { type: "finish-step" };
  }
}

function result(toolCallId: string, event: RunEvent): UiChunk {
  const failure = failureOf(event);
  if (failure === null) return { type: "tool-output-available", toolCallId, output: carriedBy(event) ?? null };
  if (failure.code === "TOOL_DENIED") return { type: "tool-output-denied", toolCallId };
  return { type: "tool-output-error", toolCallId, errorText: failure.message };
}

/** What a model said, or the text that another step has streamed; null for a step that said nothing. */
function contentOf(value: unknown, streamed: boolean): Parts | null {
  if (typeof value === "string") return streamed ? [{ type: "text", text: value }] : null;
  if (typeof value !== "object" || value === null) return null;
  const { content, text, finishReason } = value as Record<string, unknown>;
  if (Array.isArray(content) && (streamed || finishReason !== undefined)) return content as Parts;
  return streamed && typeof text === "string" ? [{ type: "text", text }] : null;
}

function finishReasonOf(value: unknown): string | undefined {
  const { finishReason } = value as { finishReason?: string | { unified?: string } };
  return typeof finishReason === "string" ? finishReason : finishReason?.unified;
}
