// `tool`: declares a tool with everything that can be said of it, for chat agents and for `ctx.tools`, without the AI SDK.
import type { JSONSchema7 } from "@ai-sdk/provider";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Ctx } from "../ctx.ts";
import type { ToolOptions } from "./options.ts";

/** What a tool gets beside its arguments. */
export interface ToolInfo {
  /** The model's id of the call. */
  readonly toolCallId: string;
  /** Fires on cancel, on the call's time-out, and when the worker must stop. */
  readonly abortSignal: AbortSignal;
  /** The same for every attempt of this call: give it to whoever can deduplicate. */
  readonly idempotencyKey: string;
}

type ArgsOf<S> = S extends StandardSchemaV1 ? StandardSchemaV1.InferOutput<S> : Record<string, unknown>;

interface Common<S, O> extends Omit<ToolOptions, "needsApproval" | "steps" | "cpu" | "module" | "export"> {
  readonly description?: string;
  /** Any Standard Schema (Zod, Valibot, ArkType…), or JSON Schema. */
  readonly inputSchema: S;
  readonly needsApproval?: boolean | ((args: ArgsOf<S>) => boolean | PromiseLike<boolean>);
  /** What the model is told of the output. Default: the text, or JSON. */
  readonly toModelOutput?: (call: {
    readonly toolCallId: string;
    readonly input: unknown;
    readonly output: O;
  }) => unknown;
}

export type ToolDefinition<S, O> =
  | (Common<S, O> & {
      readonly execute: (args: ArgsOf<S>, info: ToolInfo) => O | PromiseLike<O> | AsyncIterable<O>;
      readonly steps?: false;
    })
  | (Common<S, O> & {
      /** Made of steps: it gets a ctx of its own. */
      readonly execute: (
        args: ArgsOf<S>,
        info: Omit<ToolInfo, "idempotencyKey"> & { readonly ctx: Ctx },
      ) => O | PromiseLike<O>;
      readonly steps: true;
    })
  | (Common<S, O> & { readonly cpu: true; readonly module: string | URL; readonly export?: string })
  /** Run by whoever shows the conversation. */
  | (Common<S, O> & { readonly execute?: never });

/** What the AI SDK takes for a tool, too. */
export interface DeclaredTool<S, O> {
  readonly description?: string;
  readonly inputSchema: S;
  readonly execute?: (args: ArgsOf<S>, info: never) => O | PromiseLike<O> | AsyncIterable<O>;
}

export function tool<const S extends StandardSchemaV1 | JSONSchema7, O = unknown>(
  definition: ToolDefinition<S, O>,
): DeclaredTool<S, O> {
  return definition as unknown as DeclaredTool<S, O>;
}
