// `ctx.tools`: a set of AI SDK tools, whoever made it, in which every execution is a step named by the model's id of the call.
import { fail } from "../../domain/errors.ts";
import { LoopWatch, loopLimits } from "../../gateway/loop.ts";
import { callTool } from "./call-tool.ts";
import { type AnyTool, type DurableTool, declaredTool, OUR_OPTIONS } from "./declared-tool.ts";
import type { AiHost } from "./host.ts";
import type { ToolsOptions } from "./options.ts";
import { loopError } from "./tool-loop.ts";

export function durableTools<T extends Readonly<Record<string, object>>>(
  host: AiHost,
  tools: T,
  options: ToolsOptions,
): T {
  const watch = watchOf(options);
  checkOptionNames(options, (name) => Object.hasOwn(tools, name));
  const wrapped = Object.entries(tools).map(([name, tool]) => {
    const declared = declaredTool(name, tool as AnyTool, options.tools?.[name] ?? {});
    return [name, declared === null ? tool : wrap(host, tool, declared, watch)] as const;
  });
  return Object.fromEntries(wrapped) as T;
}

/** @throws TOOL_INVALID */
export function checkOptionNames({ tools = {} }: ToolsOptions, exists: (name: string) => boolean): void {
  for (const name of Object.keys(tools)) {
    if (!exists(name))
      throw fail("TOOL_INVALID", { tool: name, problem: "there are options for it, but no such tool" });
  }
}

/** @throws TOOL_INVALID */
export function watchOf({ loopGuard }: Pick<ToolsOptions, "loopGuard">): LoopWatch | null {
  const limits = loopLimits(loopGuard);
  if (typeof limits === "string") throw fail("TOOL_INVALID", { tool: "loopGuard", problem: limits });
  return limits === null ? null : new LoopWatch(limits);
}

function wrap(host: AiHost, tool: object, declared: DurableTool, watch: LoopWatch | null): object {
  const others = Object.entries(tool).filter(([key]) => !(OUR_OPTIONS as readonly string[]).includes(key));
  return {
    ...Object.fromEntries(others),
    execute: async (args: unknown, info: { readonly toolCallId: string }): Promise<unknown> => {
      const loop = watch?.note(declared.name, args) ?? null;
      if (loop !== null) {
        // An error here is one for the model, which would go on: the run itself ends.
        host.execution.fail(loopError(loop));
        return host.execution.never();
      }
      const { checkedBySdk } = declared.schema;
      return callTool(host, declared, { id: info.toolCallId, args, checked: checkedBySdk, info });
    },
  };
}
