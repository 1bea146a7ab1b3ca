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
 * A tool of the SDK answers its errors itself: one that `retry` is to see has `errorFunction: null`. Its `timeoutMs` is part of the step.
 * `needsApproval` in these options waits for a person as a row; the tool's own stays the SDK's, whose run ends with `interruptions`.
 *
 * @throws TOOL_INVALID
 */
export function agentsTools<const T extends readonly AnyFunctionTool[]>(
  ctx: Ctx,
  tools: T,
  options: ToolsOptions = {},
): { -readonly [Place in keyof T]: T[Place] } {
  const host = hostOf(ctx);
  const watch = watchOf(options);
  checkOptionNames(options, (name) => tools.some((tool) => tool.name === name));
  const wrapped = tools.map((tool) => durable(host, tool, options.tools?.[tool.name] ?? {}, watch));
  return wrapped as unknown as { -readonly [Place in keyof T]: T[Place] };
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
      execute: (args: unknown, { invocation, abortSignal }: ToolInfo) => {
        const { runContext, details, text, asked } = invocation;
        // The tool reads the arguments itself; as they came, unless a person has changed them.
        return tool.invoke(runContext, args === asked ? text : JSON.stringify(args), detailsIn(details, abortSignal));
      },
    },
    options ?? {},
  );
  if (declared === null) return tool;
  const { timeoutMs: _, ...others } = tool;
  return {
    ...others,
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
        const info = { invocation, ...(details?.signal === undefined ? {} : { abortSignal: details.signal }) };
        return await callTool(host, declared, { id, args: asked, checked: true, info });
      } catch (error) {
        // To the SDK an error is the end of its run; these are answers to the model.
        if (isLonghaulError(error) && /^TOOL_|^STEP_TIMEOUT$/.test(String(error.code))) return error.message;
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

interface ToolInfo {
  readonly invocation: Invocation;
  /** The step's, and the SDK's own. */
  readonly abortSignal: AbortSignal;
}

/** Without the marks under which the SDK hears from a tool as it runs, and keeps its time outside: a replay does not run it. */
function detailsIn(details: Details, signal: AbortSignal): Details {
  return { ...Object.fromEntries(Object.entries(details ?? {})), signal } as Details;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text === "" ? "{}" : text);
  } catch {
    return text;
  }
}
