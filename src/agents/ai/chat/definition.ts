// What a chat agent is declared with.
import type { LanguageModelV3CallOptions } from "@ai-sdk/provider";
import type { Band } from "../../../domain/band.ts";
import type { BudgetDeclaration } from "../../../domain/budget.ts";
import type { AgentConcurrency, AgentLimits, Ctx } from "../../ctx.ts";
import type { ModelOptions, ToolOptions, ToolsOptions } from "../options.ts";

export type ChatTools = Readonly<Record<string, object>>;

export interface ChatAgentDefinition<T extends ChatTools = ChatTools> {
  /** Unique among the agents of a build: letters, digits, `_`, `-`, `.`. */
  readonly name: string;
  /** One line for people and for `GET /assistants`. */
  readonly description?: string;
  /** An alias of the configuration, or `provider/model`. */
  readonly model: string;
  /** What the model is told first. A function is called once per run, and what it gives is recorded. */
  readonly instructions?: string | ((ctx: Ctx) => string | Promise<string>);
  /** AI SDK tools, `tool()` of `longhaul/ai`, or an MCP client's: a function is called whenever a process takes the run up. */
  readonly tools?: T | ((ctx: Ctx) => T | Promise<T>);
  /** How their calls are made, by name. */
  readonly toolOptions?: { readonly [Name in Extract<keyof T, string>]?: ToolOptions };
  /** Tools that a person must approve: short for `toolOptions: { name: { needsApproval: true } }`. */
  readonly approvals?: readonly Extract<keyof T, string>[];
  /** When the model makes the same call again and again. Default: five times in a row, or thirty in all; `false`: never. */
  readonly loopGuard?: ToolsOptions["loopGuard"];
  /** How often the model may be asked in one run. Default 100. */
  readonly maxTurns?: number;
  /** How the model is asked: temperature, most output tokens, the provider's own options. */
  readonly settings?: ChatSettings;
  readonly feature?: ModelOptions["feature"];
  /** What a run and every run below it may spend. */
  readonly budget?: BudgetDeclaration;
  readonly limits?: AgentLimits;
  readonly queue?: string;
  readonly concurrency?: number | AgentConcurrency;
  readonly band?: Band;
}

export type ChatSettings = Pick<
  LanguageModelV3CallOptions,
  | "maxOutputTokens"
  | "temperature"
  | "stopSequences"
  | "topP"
  | "topK"
  | "presencePenalty"
  | "frequencyPenalty"
  | "seed"
  | "toolChoice"
  | "headers"
  | "providerOptions"
>;
