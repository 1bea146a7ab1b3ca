// What two streams of different APIs have in common on their way through: what is shown, what is held back, and how they end.
import type { TokenUsage } from "../../domain/usage.ts";
import type { ServerEvent } from "./event-stream.ts";

/** What becomes of one event. */
export interface Taken {
  /** As it goes to the client; null: it is not for it. */
  readonly text: string | null;
  /** Part of the answer. Until the first such event everything can still be taken back. */
  readonly isContent: boolean;
}

export interface Relay {
  /** @throws what the provider says went wrong in the midst of the stream; SyntaxError for what is no JSON */
  take(event: ServerEvent): Taken;
  /** The stream said that it is whole. */
  readonly isWhole: boolean;
  readonly usage: TokenUsage | null;
  /** What has come of the answer's text, for what a broken stream costs. */
  readonly text: string;
  /** The answer in one piece, as JSON text. Empty when nobody wanted to keep it. */
  whole(): string;
}
