// One model call as a step: what it may look like while it runs, and its record.
import type { LanguageModelV3CallOptions, LanguageModelV3StreamPart } from "@ai-sdk/provider";
import { performStep } from "../../engine/step.ts";
import { type ChatReply, partsOf } from "../../gateway/reply.ts";
import { askInBatch } from "./batch-model.ts";
import { callOptions } from "./call-context.ts";
import { type AiHost, gatewayOf } from "./host.ts";
import { type ModelRecord, recordOf, shownPart } from "./model-record.ts";
import type { ModelOptions } from "./options.ts";

export interface Question {
  /** An alias, or `provider/model`. */
  readonly model: string;
  /** What tells the step from others of its name; null: their order does. */
  readonly mark: string | null;
  /** Made when the model is really asked: a replay does not need them. */
  readonly request: () => LanguageModelV3CallOptions;
  /** Whether the provider is asked for a stream. */
  readonly stream: boolean;
  readonly options: ModelOptions;
  /** Whoever wants to see the words before they are recorded. */
  readonly live?: LiveSink;
  /** Told the step's key. */
  readonly onKey?: (key: string) => void;
}

export interface LiveSink {
  /** True once something was shown: an attempt that breaks off then cannot be replaced. */
  readonly shown: boolean;
  show(part: LanguageModelV3StreamPart, attempt: number): void;
}

const ONE_ATTEMPT = { maxAttempts: 1, initialMs: 0, factor: 1, maxMs: 0, jitter: 0 };

/**
 * Asks, or gives the recorded answer. Never settles in a run that is stopped or let go.
 *
 * @throws GATEWAY_MISSING, NESTED_STEP, DUPLICATE_STEP, at once
 */
export function askModel(host: AiHost, question: Question): Promise<ModelRecord> {
  const { model, mark, options, stream, live, onKey } = question;
  const name = options.name ?? `model ${model}`;
  host.begin("model", name);
  const gateway = gatewayOf(host);
  // Not waited for here: hundreds of agents wait at this place, and each frame costs them memory.
  return performStep(host.execution, host.scope, {
    name,
    input: null,
    // Retries are the gateway's: it knows which failures are worth one, and where else to turn.
    retry: ONE_ATTEMPT,
    timeoutMs: null,
    sealed: true,
    body: async (step) => {
      const { abortSignal, ...request } = question.request();
      // The scope's own signal, not the step's, which depends on it: whoever listens here stops doing so at the end.
      const own = host.scope.abort;
      const abort = abortSignal === undefined ? own : AbortSignal.any([own, abortSignal]);
      let streamed = false;
      const batched = options.batch === undefined ? null : await askInBatch(host, model, request, step, options);
      const performed =
        batched ??
        (await gateway.chat(
          {
            options: request,
            stream,
            onPart: (part, attempt) => {
              const shown = shownPart(part);
              if (shown !== null) {
                streamed = true;
                step.stream.write(shown);
              }
              live?.show(part, attempt.number);
            },
            onReset: () => {
              if (live?.shown === true) return false;
              streamed = false;
              step.stream.reset();
              return true;
            },
          },
          callOptions(host, model, step, abort, options),
        ));
      if (!streamed) showWhole(performed.result, (part) => step.stream.write(part));
      return recordOf(performed, step.idempotencyKey, host.execution.owner.clock.now());
    },
    ...(mark === null ? {} : { mark }),
    ...(onKey === undefined ? {} : { onKey }),
  }) as Promise<ModelRecord>;
}

/** A reply that came in one piece is a message all the same. */
function showWhole(reply: ChatReply, write: (part: NonNullable<ReturnType<typeof shownPart>>) => void): void {
  for (const part of partsOf(reply)) {
    const shown = shownPart(part);
    if (shown !== null) write(shown);
  }
}
