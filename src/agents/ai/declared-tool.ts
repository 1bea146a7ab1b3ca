// A tool as it was declared: its shape and function from the AI SDK's object, how it is called from there and from the options beside it.
import { durationMs } from "../../domain/duration.ts";
import { fail, isLonghaulError } from "../../domain/errors.ts";
import { checkName } from "../../domain/key.ts";
import { TOOL_OUTPUT_BYTES_MAX, VALUE_BYTES_MAX } from "../../domain/limits.ts";
import { type RetryPolicy, resolveRetry } from "../../domain/retry.ts";
import type { ToolOptions } from "./options.ts";
import { type ToolSchema, toolSchema } from "./tool-schema.ts";

export interface DurableTool {
  readonly name: string;
  readonly schema: ToolSchema;
  readonly options: ToolOptions;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number | null;
  readonly outputBytesMax: number;
  /** As the user wrote it. */
  readonly execute: (args: unknown, info: object) => unknown;
}

/** What the AI SDK itself knows nothing of. */
export const OUR_OPTIONS = [
  "needsApproval",
  "approvalExpires",
  "retry",
  "timeout",
  "cpu",
  "module",
  "export",
  "steps",
  "outputBytesMax",
] as const satisfies readonly (keyof ToolOptions)[];

export type AnyTool = Readonly<Record<string, unknown>>;

/**
 * Null for a tool that runs elsewhere: in the browser, or at the provider.
 *
 * @throws TOOL_INVALID
 */
export function declaredTool(name: string, tool: AnyTool, beside: ToolOptions): DurableTool | null {
  const inside = Object.fromEntries(OUR_OPTIONS.flatMap((key) => (tool[key] === undefined ? [] : [[key, tool[key]]])));
  const options: ToolOptions = { ...inside, ...beside };
  const execute = tool["execute"];
  const runs = typeof execute === "function" || options.cpu === true;
  if (!runs) return null;
  return checked(name, () => ({
    name: checkName("step", name),
    schema: toolSchema(tool["inputSchema"] ?? tool["parameters"]),
    options: checkOptions(name, options, typeof execute === "function"),
    retry: resolveRetry(options.retry ?? false),
    timeoutMs: options.timeout === undefined ? null : durationMs(options.timeout),
    outputBytesMax: options.outputBytesMax ?? TOOL_OUTPUT_BYTES_MAX,
    execute: (args, info) => Reflect.apply(execute as (...given: unknown[]) => unknown, tool, [args, info]),
  }));
}

function checkOptions(tool: string, options: ToolOptions, executes: boolean): ToolOptions {
  const wrong = (problem: string): Error => fail("TOOL_INVALID", { tool, problem });
  for (const key of Object.keys(options))
    if (!(OUR_OPTIONS as readonly string[]).includes(key)) throw wrong(`there is no option ${key.slice(0, 50)}`);
  const { needsApproval, cpu, module, steps, outputBytesMax, approvalExpires } = options;
  if (needsApproval !== undefined && typeof needsApproval !== "boolean" && typeof needsApproval !== "function")
    throw wrong("needsApproval is neither true or false nor a function");
  if (cpu === true && module === undefined)
    throw wrong("cpu: true needs `module`, and `export` unless it is the default");
  if (cpu === true && executes) throw wrong("it has both execute and cpu: true; one of them says what to run");
  if (cpu === true && steps === true) throw wrong("a thread has no ctx: it is either cpu or steps");
  if (steps === true && (options.retry !== undefined || options.timeout !== undefined))
    throw wrong("with steps: true its steps have the retries and time-outs");
  if (outputBytesMax !== undefined && !(outputBytesMax >= 1 && outputBytesMax <= VALUE_BYTES_MAX))
    throw wrong(`outputBytesMax is not a number from 1 to ${VALUE_BYTES_MAX}`);
  if (approvalExpires !== undefined) durationMs(approvalExpires);
  return options;
}

/** Whatever is wrong with it, the tool is named. */
function checked<T>(tool: string, declare: () => T): T {
  try {
    return declare();
  } catch (error) {
    if (!(error instanceof Error) || isLonghaulError(error, "TOOL_INVALID")) throw error;
    throw fail(
      "TOOL_INVALID",
      { tool: tool.slice(0, 200), problem: error.message.replace(/\.$/, "") },
      { cause: error },
    );
  }
}
