// What an agent's code may say about its model calls and tools.
import type { DurationInput } from "../../domain/duration.ts";
import type { RetryPolicy } from "../../domain/retry.ts";
import type { LoopGuardOption } from "../../gateway/loop.ts";

export interface ModelOptions {
  /** Name of the step. Default: `model` and the model's name. */
  readonly name?: string;
  /** What the calls are for, in a word: costs are shown by it. */
  readonly feature?: string;
  /** How old an answer to the same question may be. Default: it is asked anew. */
  readonly cache?: DurationInput;
  /** Share the answer of an identical call in flight, also of another worker. Default: where `cache` is set. */
  readonly coalesce?: boolean;
  /**
   * It can wait for hours: it goes out with others in the provider's own batch, at about half the price and beside its usual limits, while the
   * run sleeps as a row. Models of OpenAI, Anthropic and Google; others are asked at once. What no batch has answered at its `deadline` is asked live.
   */
  readonly batch?: {
    /** How long it waits for others. Default 1 min. */ readonly maxDelay?: DurationInput;
    /** Default 24 h. */ readonly deadline?: DurationInput;
  };
  /**
   * `streamText` sees the model's words as they come, before they are recorded. Default: it sees a reply when it is recorded, while whoever
   * streams the run sees every word at once. With it, an attempt that broke off after something was seen cannot be replaced (PARTIAL_STREAM).
   */
  readonly live?: boolean;
}

export interface EmbedOptions {
  readonly name?: string;
  readonly feature?: string;
  readonly cache?: DurationInput;
  /** Values in one request, and one step. Default 100. */
  readonly batch?: number;
}

export interface BatchOptions {
  /** Name of the step. Default: `batch` and the batcher's name. */
  readonly name?: string;
  /** What it is for, in a word: costs are shown by it. */
  readonly feature?: string;
}

/** What `generateText` and its relatives take besides: `generateText({ model, prompt, ...ctx.ai })`. */
export interface AiSettings {
  /** Fires when the run is stopped, or the branch has lost its race. */
  readonly abortSignal: AbortSignal;
  /** Ids that are the same in a replay. */
  readonly _internal: { readonly generateId: () => string };
}

/** How the calls of one tool are made. Each can also be said in the tool itself. */
export interface ToolOptions {
  /** Ask a person first, who sees the arguments and may edit them: always, or where the function says so. */
  readonly needsApproval?: boolean | ((args: never, call: never) => boolean | PromiseLike<boolean>);
  /** How long the question stands. Default: for ever. */
  readonly approvalExpires?: DurationInput;
  /** Attempts and backoff. Default one attempt: the model sees the error and decides. */
  readonly retry?: Partial<RetryPolicy> | number | false;
  /** After this long an attempt's signal fires and it counts as failed. Default none. */
  readonly timeout?: DurationInput;
  /** Run `export` of `module` in a thread of the pool instead of `execute`; it gets the arguments. */
  readonly cpu?: boolean;
  readonly module?: string | URL;
  /** Default `default`. */
  readonly export?: string;
  /** `execute` is made of steps: it gets a `ctx` of its own beside the call's id, and may ask models and people, wait and spawn. */
  readonly steps?: boolean;
  /** Largest output, encoded. Default 4 MiB. */
  readonly outputBytesMax?: number;
}

export interface ToolsOptions<Names extends string = string> {
  /** By name. */
  readonly tools?: { readonly [Name in Names]?: ToolOptions };
  /**
   * When the model makes the same call again and again the run fails with reason `tool_loop`. Default: five times in a row, or thirty in all.
   * `false`: never. Tools that may be called alike for ever, because they look whether something has happened, go under `except`.
   */
  readonly loopGuard?: LoopGuardOption | undefined;
}
