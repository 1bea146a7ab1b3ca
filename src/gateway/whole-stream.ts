// A model's stream that either is whole or fails: the SDK reports half answers as if they had ended, each provider in its own way.
import type { LanguageModelV3FinishReason, LanguageModelV3StreamPart } from "@ai-sdk/provider";

/** The stream ended, and nobody had said that the answer was complete. */
export class AnswerTruncated extends Error {
  override readonly name = "AnswerTruncated";

  constructor() {
    super("The stream ended before the answer did.");
  }
}

/** A provider that ends an answer says why; where none did, the SDK writes "other" and no word of the provider. */
export function isCutOff(reason: LanguageModelV3FinishReason | undefined): boolean {
  return reason === undefined || (reason.unified === "other" && reason.raw === undefined);
}

/**
 * The same parts. It fails with what an `error` part carries, as soon as it comes, and with AnswerTruncated for an answer
 * that was cut off: without a last part (Anthropic), or with one that says nothing (OpenAI, Google).
 */
export function wholeStream(
  stream: ReadableStream<LanguageModelV3StreamPart>,
): ReadableStream<LanguageModelV3StreamPart> {
  let ended = false;
  return stream.pipeThrough(
    new TransformStream<LanguageModelV3StreamPart, LanguageModelV3StreamPart>({
      transform(part, controller) {
        if (part.type === "error") throw part.error;
        if (part.type === "finish" && isCutOff(part.finishReason)) throw new AnswerTruncated();
        ended ||= part.type === "finish";
        controller.enqueue(part);
      },
      flush() {
        if (!ended) throw new AnswerTruncated();
      },
    }),
  );
}
