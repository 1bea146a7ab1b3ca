// What every model of the demo can do, and how it fails; the models themselves are in the files beside this one.
import type { Passage } from "./corpus.ts";

export interface Citation {
  /** The number that stands in the text as `[n]`. */
  n: number;
  /** The passage's id, its page and the headings it stands under. */
  id: string;
  path: string;
  heading: string;
}

export interface Answer {
  text: string;
  citations: Citation[];
}

export interface Usage {
  inputTokens: number;
  outputTokens: number;
}

export interface CallOptions {
  signal?: AbortSignal;
  /** Told what a call was billed for; a model without an LLM never calls it. */
  onUsage?: (usage: Usage) => void;
}

/** Plans the searches for a question, and answers it from the passages that they found. */
export interface Model {
  name: string;
  /** True for the rules that stand in for an LLM when there is no key or no network. */
  offline: boolean;
  /** One to five search queries. Throws `ModelError`. */
  plan(question: string, options?: CallOptions): Promise<string[]>;
  /** An answer made of these passages alone, saying so when they do not hold one. Throws `ModelError`. */
  answer(question: string, passages: readonly Passage[], options?: CallOptions): Promise<Answer>;
}

export const queriesMax = 5;
export const queryCharsMax = 200;

export type ModelErrorCode =
  | "MODEL_BAD_REQUEST"
  | "MODEL_BAD_RESPONSE"
  | "MODEL_OVERLOADED"
  | "MODEL_QUOTA_EXHAUSTED"
  | "MODEL_RATE_LIMITED"
  | "MODEL_REFUSED"
  | "MODEL_TIMED_OUT"
  | "MODEL_UNAUTHORIZED"
  | "MODEL_UNAVAILABLE"
  | "MODEL_UNREACHABLE";

/** A call that a provider did not answer. Cancelling is not one: then the signal's own reason is thrown. */
export class ModelError extends Error {
  override name = "ModelError";
  readonly code: ModelErrorCode;
  /** The HTTP status, or undefined when no answer came. */
  readonly status: number | undefined;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** How long the provider asks us to wait, when it says so. */
  readonly retryAfterMs: number | undefined;
  readonly hint: string;

  constructor(
    code: ModelErrorCode,
    message: string,
    details: { status?: number; retryable?: boolean; retryAfterMs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.retryable = details.retryable ?? false;
    this.retryAfterMs = details.retryAfterMs;
    this.hint = hints[code];
  }
}

const hints: Record<ModelErrorCode, string> = {
  MODEL_BAD_REQUEST: "Check the model's name (OPENAI_MODEL, ANTHROPIC_MODEL) and the base URL.",
  MODEL_BAD_RESPONSE: "Try again; if it stays, the server behind the base URL does not speak this provider's API.",
  MODEL_OVERLOADED: "Wait and try again.",
  MODEL_QUOTA_EXHAUSTED: "Raise the account's limit or credit, or unset the key to use the offline rules.",
  MODEL_RATE_LIMITED: "Wait as long as retryAfterMs says, then try again.",
  MODEL_REFUSED: "Ask the question in other words.",
  MODEL_TIMED_OUT: "Try again.",
  MODEL_UNAUTHORIZED: "Check the API key, or unset it to use the offline rules.",
  MODEL_UNAVAILABLE: "Wait and try again.",
  MODEL_UNREACHABLE: "Check the network and the base URL, or unset the key to use the offline rules.",
};
