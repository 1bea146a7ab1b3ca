// How a fake provider is set up. All of it is plain JSON, so that it can run in a process of its own.
import type { Behaviour } from "./behaviour.ts";
import type { ModelLimits } from "./referee.ts";

/** The key that is accepted unless others are named. */
export const FAKE_KEY = "sk-fake-0123456789";

export interface FakeProviderSettings {
  /** Default: one that is free. */
  readonly port?: number;
  readonly host?: string;
  /** Accepted API keys. Limits are kept for each of them apart. Default: FAKE_KEY. */
  readonly keys?: readonly string[];
  /** Models that exist, `*` for anything. Default: all. */
  readonly models?: readonly string[];
  readonly behaviour?: Behaviour;
  /** By model, `*` for anything; the first that fits holds. */
  readonly limits?: Readonly<Record<string, ModelLimits>>;
  /** By model, the tokens of input that fit. Default: any. */
  readonly contextTokens?: Readonly<Record<string, number>>;
  /** How its tokens are counted. Default: 0.25 of a byte of UTF-8. */
  readonly tokensPerByte?: number;
  /** Calls that the log keeps, of the latest. Default: 100,000. */
  readonly keep?: number;
  /** The log keeps neither bodies nor headers nor texts: for benchmarks. Default: false. */
  readonly brief?: boolean;
}

/** The model names that GET /models lists when none are given. */
export const LISTED = {
  openai: ["gpt-5-mini", "gpt-5", "text-embedding-3-small"],
  anthropic: ["claude-sonnet-4-5", "claude-haiku-4-5"],
  google: ["gemini-2.5-flash", "gemini-embedding-001"],
} as const;
