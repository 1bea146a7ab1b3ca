// One request to the fake model: what a script looks at. What takes time to read is read when it is asked for.
import type { IncomingHttpHeaders } from "node:http";
import { type Message, type OfferedTool, type Prompt, type Protocol, roundOf, type Wire } from "./conversation.ts";
import { countTokens } from "./tokens.ts";

export type Operation = "chat" | "responses" | "messages" | "generate" | "embeddings";

export interface RequestFacts {
  /** From 1, over everything the provider received. */
  readonly number: number;
  readonly protocol: Protocol;
  readonly operation: Operation;
  readonly model: string;
  readonly stream: boolean;
  /** The API key it came with. */
  readonly key: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Wire;
  /** The same for requests of the same path and bytes. */
  readonly fingerprint: string;
  /** How often this very request has come, from 1. */
  readonly arrival: number;
  /** The batch whose item it is, or null. */
  readonly batch: string | null;
  readonly tokensPerByte: number;
}

export class FakeRequest implements RequestFacts {
  declare readonly number: number;
  declare readonly protocol: Protocol;
  declare readonly operation: Operation;
  declare readonly model: string;
  declare readonly stream: boolean;
  declare readonly key: string;
  declare readonly headers: IncomingHttpHeaders;
  declare readonly body: Wire;
  declare readonly fingerprint: string;
  declare readonly arrival: number;
  declare readonly batch: string | null;
  declare readonly tokensPerByte: number;
  readonly #read: () => Prompt;
  #prompt: Prompt | null = null;
  #inputTokens: number | null = null;

  constructor(facts: RequestFacts, read: () => Prompt) {
    Object.assign(this, facts);
    this.#read = read;
  }

  get prompt(): Prompt {
    this.#prompt ??= this.#read();
    return this.#prompt;
  }

  get messages(): readonly Message[] {
    return this.prompt.messages;
  }

  get tools(): readonly OfferedTool[] {
    return this.prompt.tools;
  }

  /** What the user said last. */
  get lastUserText(): string {
    return this.messages.findLast((one) => one.role === "user")?.text ?? "";
  }

  get systemText(): string {
    return this.messages.find((one) => one.role === "system")?.text ?? "";
  }

  /** Rounds of tool calls since the user last spoke: 0 for the first answer. */
  get round(): number {
    return roundOf(this.messages);
  }

  /** Of everything that goes in, tools and schema included. */
  get inputTokens(): number {
    this.#inputTokens ??= countPrompt(this.prompt, this.tokensPerByte);
    return this.#inputTokens;
  }
}

export function countPrompt(prompt: Prompt, tokensPerByte: number): number {
  let tokens = 0;
  for (const { text, toolCalls } of prompt.messages) {
    tokens += countTokens(text, tokensPerByte);
    for (const call of toolCalls)
      tokens += countTokens(call.name, tokensPerByte) + countTokens(call.arguments, tokensPerByte);
  }
  for (const input of prompt.inputs) tokens += countTokens(input, tokensPerByte);
  if (prompt.tools.length > 0) tokens += countTokens(JSON.stringify(prompt.tools), tokensPerByte);
  if (prompt.schema !== null) tokens += countTokens(JSON.stringify(prompt.schema), tokensPerByte);
  return Math.max(1, tokens);
}
