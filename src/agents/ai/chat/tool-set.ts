// The tools of a chat agent: what the model is told of them, and how its calls become messages.
import type {
  LanguageModelV3CallOptions,
  LanguageModelV3Prompt,
  LanguageModelV3ToolCall,
  LanguageModelV3ToolResultPart,
} from "@ai-sdk/provider";
import { fail, isLonghaulError } from "../../../domain/errors.ts";
import { checkName } from "../../../domain/key.ts";
import { callTool, invalidArguments, refuseCall } from "../call-tool.ts";
import { type AnyTool, type DurableTool, declaredTool } from "../declared-tool.ts";
import type { AiHost } from "../host.ts";
import type { ToolOptions } from "../options.ts";
import { toolSchema } from "../tool-schema.ts";
import type { ToolMessage } from "./messages.ts";
import { argsOf } from "./reply-message.ts";

type ToolDeclarations = NonNullable<LanguageModelV3CallOptions["tools"]>;
type Output = LanguageModelV3ToolResultPart["output"];

interface Listed {
  readonly tool: AnyTool;
  /** Null for one that is run elsewhere. */
  readonly declared: DurableTool | null;
}

export class ToolSet {
  readonly #tools = new Map<string, Listed>();

  /** @throws TOOL_INVALID */
  constructor(tools: Readonly<Record<string, object>>, options: Readonly<Record<string, ToolOptions | undefined>>) {
    for (const [name, tool] of Object.entries(tools)) {
      const declared = declaredTool(name, tool as AnyTool, options[name] ?? {});
      this.#tools.set(name, { tool: tool as AnyTool, declared });
    }
    for (const name of Object.keys(options)) {
      if (!this.#tools.has(name))
        throw fail("TOOL_INVALID", { tool: name, problem: "there are options for it, but no such tool" });
    }
  }

  /** What the model is told. */
  async declarations(): Promise<ToolDeclarations> {
    return Promise.all(
      [...this.#tools].map(async ([name, { tool }]): Promise<ToolDeclarations[number]> => {
        if (tool["type"] === "provider" || tool["type"] === "provider-defined")
          return {
            type: "provider",
            id: tool["id"] as `${string}.${string}`,
            name,
            args: (tool["args"] ?? {}) as Record<string, unknown>,
          };
        const { description, inputExamples, strict, providerOptions } = tool;
        return {
          type: "function",
          name,
          inputSchema: await toolSchema(tool["inputSchema"] ?? tool["parameters"]).json(),
          ...(typeof description === "string" ? { description } : {}),
          ...(inputExamples === undefined ? {} : { inputExamples: inputExamples as { input: never }[] }),
          ...(typeof strict === "boolean" ? { strict } : {}),
          ...(providerOptions === undefined ? {} : { providerOptions: providerOptions as never }),
        };
      }),
    );
  }

  /** Whether somebody else gives the result: the browser that shows the call. */
  runsElsewhere(name: string): boolean {
    return this.#tools.get(name)?.declared === null;
  }

  /** One call and its result as a message. Throws only what ends the run. */
  async answer(host: AiHost, call: LanguageModelV3ToolCall, prompt: () => LanguageModelV3Prompt): Promise<ToolMessage> {
    const { toolCallId: id, toolName: name } = call;
    const args = argsOf(call);
    const listed = this.#tools.get(name);
    let output: Output;
    try {
      output = await this.#made(host, listed, name, id, args, prompt);
    } catch (error) {
      if (!(error instanceof Error) || isLonghaulError(error, "BUDGET_EXCEEDED")) throw error;
      output = isLonghaulError(error, "TOOL_DENIED")
        ? { type: "execution-denied", reason: error.message }
        : { type: "error-text", value: error.message };
    }
    return messageOf(`${host.execution.runId}:${id}`, id, name, output);
  }

  async #made(
    host: AiHost,
    listed: Listed | undefined,
    name: string,
    id: string,
    args: unknown,
    prompt: () => LanguageModelV3Prompt,
  ): Promise<Output> {
    if (listed?.declared === undefined || listed.declared === null) {
      const known = [...this.#tools.keys()].join(", ") || "none";
      await refuseCall(host, stepName(name), id, fail("TOOL_UNKNOWN", { tool: name.slice(0, 200), known }));
      throw new Error("unreachable: a refusal rejects");
    }
    const { declared, tool } = listed;
    if (args === null) {
      await refuseCall(host, declared.name, id, invalidArguments(name, "they are no JSON object"));
      throw new Error("unreachable: a refusal rejects");
    }
    const info = {
      get messages() {
        return prompt();
      },
    };
    const output = await callTool(host, declared, { id, args, checked: false, info });
    const { toModelOutput } = tool;
    if (typeof toModelOutput === "function")
      return (await toModelOutput({ toolCallId: id, input: args, output })) as Output;
    return { type: "text", value: typeof output === "string" ? output : jsonText(output) };
  }
}

function messageOf(id: string, callId: string, name: string, output: Output): ToolMessage {
  const isPlain = output.type === "text" || output.type === "error-text";
  const isError = output.type === "error-text" || output.type === "error-json" || output.type === "execution-denied";
  return {
    type: "tool",
    id,
    tool_call_id: callId,
    name,
    content: textOfOutput(output),
    status: isError ? "error" : "success",
    ...(isPlain ? {} : { additional_kwargs: { longhaul: { output } } }),
  };
}

function textOfOutput(output: Output): string {
  switch (output.type) {
    case "text":
    case "error-text":
      return output.value;
    case "json":
    case "error-json":
      return jsonText(output.value);
    case "execution-denied":
      return output.reason ?? "A person denied it.";
    case "content":
      return output.value.map((part) => (part.type === "text" ? part.text : `[${part.type}]`)).join("");
  }
}

function jsonText(value: unknown): string {
  const text = JSON.stringify(value, (_, member: unknown) => (typeof member === "bigint" ? String(member) : member));
  return text ?? "null";
}

/** A name that the model made up may be anything. */
function stepName(name: string): string {
  try {
    return checkName("step", name);
  } catch {
    return "unknown tool";
  }
}
