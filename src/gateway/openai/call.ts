// A call in OpenAI's words, as it came.
import type { Attempt } from "../roles.ts";
import type { OpenAiApi } from "./outlets.ts";

export interface OpenAiCall {
  readonly api: OpenAiApi;
  /** The body as it came. */
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly stream: boolean;
  /** `stream_options.include_usage`. */
  readonly wantsUsage: boolean;
  /** The answer is wanted in one piece: somebody else may get it, too. */
  readonly keeps: boolean;
  /** Makes this request differ from equal ones; null: it does not. */
  readonly idempotencyKey: string | null;
  /** Where the frames of a stream go; the client's pace is waited for. Null when it is not streamed. */
  readonly sink: ((frames: string, attempt: Attempt) => Promise<void> | undefined) | null;
}
