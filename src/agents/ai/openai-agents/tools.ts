// Function tools of the OpenAI Agents SDK whose every execution is a step named by the model's id of the call.
import type { FunctionTool } from "@openai/agents";
import { isLonghaulError } from "../../../domain/errors.ts";
import type { Ctx } from "../../ctx.ts";
import { callTool } from "../call-tool.ts";
import { declaredTool } from "../declared-tool.ts";
import { type AiHost, hostOf } from "../host.ts";
import type { ToolsOptions } from "../options.ts";
import { loopError } from "../tool-loop.ts";
import { checkOptionNames, watchOf } from "../tools.ts";

// biome-ignore lint/suspicious/noExplicitAny: tools of whatever context and result
type AnyFunctionTool = FunctionTool<any, any, any>;
type Details = Parameters<AnyFunctionTool["invoke"]>[2];

/**
 * The same tools; `needsApproval`, `retry` and the other options are those of `ctx.tools`. Give it what does something; an agent used as
 * a tool, and handoffs, are made of steps already.
 *
 * @throws TOOL_INVALID
 */
export function agentsTools<const T extends readonly AnyFunctionTool[]>(
  ctx: Ctx,
  tools: T,
  options: ToolsOptions = {},
): T {
  const host = hostOf(ctx);
  const watch = watchOf(options);
  checkOptionNames(options, (name) => tools.some((tool) => tool.name === name));
  const wrapped = tools.map((tool) => durable(host, tool, options.tools?.[tool.name] ?? {}, watch));
  return wrapped as unknown as T;
}

function durable(
  host: AiHost,
  tool: AnyFunctionTool,
  options: NonNullable<ToolsOptions["tools"]>[string],
  watch: ReturnType<typeof watchOf>,
): AnyFunctionTool {
  const declared = declaredTool(
    tool.name,
    {
      inputSchema: tool.parameters,
      execute: (args: unknown, info: { readonly invocation: Invocation }) => {
        const { runContext, details, text, asked } = info.invocation;
        // The tool reads the arguments itself; as they came, unless a person has changed them.
        return tool.invoke(runContext, args === asked ? text : JSON.stringify(args), details);
      },
    },
    options ?? {},
  );
  if (declared === null) return tool;
  return {
    ...tool,
    // Asked where it is declared, below; the SDK's own way ends its run instead of waiting.
    ...(options?.needsApproval === undefined ? {} : { needsApproval: async () => false }),
    invoke: async (runContext, text, details) => {
      const asked = parsed(text);
      const loop = watch?.note(tool.name, asked) ?? null;
      if (loop !== null) {
        host.execution.fail(loopError(loop));
        return host.execution.never();
      }
      const id = details?.toolCall?.callId ?? "";
      const invocation: Invocation = { runContext, details, text, asked };
      try {
        return await callTool(host, declared, { id, args: asked, checked: true, info: { invocation } });
      } catch (error) {
        // To the SDK an error is the end of its run; these are answers to the model.
        const { code } = error as { code?: unknown };
        if (isLonghaulError(error) && String(code).startsWith("TOOL_")) return error.message;
        throw error;
      }
    },
  };
}

interface Invocation {
  readonly runContext: Parameters<AnyFunctionTool["invoke"]>[0];
  readonly details: Details;
  readonly text: string;
  readonly asked: unknown;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text === "" ? "{}" : text);
  } catch {
    return text;
  }
}
