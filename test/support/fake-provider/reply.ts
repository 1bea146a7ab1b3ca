// What the fake model says to one request. Plain JSON, so that a script in this process and a file of another can both say it.
import type { FaultLike } from "./fault.ts";

/** As the gateway counts: `inputTokens` includes what was cached, `outputTokens` the reasoning. */
export interface Usage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheReadTokens: number;
  readonly cacheWriteTokens: number;
  readonly reasoningTokens: number;
}

export interface ToolCall {
  /** Default: one that no other call has. */
  readonly id?: string;
  readonly name: string;
  /** A string is sent as it is, whether it parses or not. Default: a sample that fits the tool's schema. */
  readonly arguments?: unknown;
}

/** "Call these tools so many times, then answer": told from the conversation alone, so that a repeated request gets the same answer. */
export interface ToolLoop {
  readonly tool: string;
  /** Rounds, each one an answer of the model with tool calls in it. */
  readonly times: number;
  /** Calls in each round. Default: 1. */
  readonly parallel?: number;
  /** `{round}` and `{call}` in its strings become numbers from 1. Default: a sample that fits the tool's schema. */
  readonly arguments?: unknown;
}

export type Finish = "stop" | "length" | "tool-calls" | "content-filter";

/** How an answer comes over the wire. */
export interface Pace {
  /** From the request's arrival to the first byte; two numbers are a range. Default: 0. */
  readonly latencyMs?: number | readonly [number, number];
  /** Between two pieces of a stream. Default: 0, all at once. */
  readonly chunkMs?: number;
  /** Characters of each piece. Default: 16. */
  readonly chunkCharacters?: number;
}

export interface Reply extends Pace {
  /** Default: says of itself that it is a fake, and what it was asked. */
  readonly text?: string;
  /** A value, sent as the text, or as the arguments of the one tool that has to be called. */
  readonly json?: unknown;
  readonly reasoning?: string;
  readonly toolCalls?: readonly ToolCall[];
  readonly loop?: ToolLoop;
  /** One reply for each round of the conversation since the user last spoke; the last one stays. Comes before `loop`. */
  readonly turns?: readonly Reply[];
  readonly finish?: Finish;
  /** Default: counted. */
  readonly usage?: Partial<Usage>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly fault?: FaultLike;
}
