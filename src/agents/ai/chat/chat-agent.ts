// `chatAgent`: an agent that talks on a thread and uses tools, declared instead of written.
import { fail } from "../../../domain/errors.ts";
import { CHAT_TURNS_DEFAULT } from "../../../domain/limits.ts";
import { agent } from "../../agent.ts";
import type { Agent, Ctx } from "../../ctx.ts";
import type { ToolOptions } from "../options.ts";
import { watchOf } from "../tools.ts";
import type { ChatAgentDefinition, ChatTools } from "./definition.ts";
import { type ChatInput, type ChatState, chatInput, type ReadInput } from "./messages.ts";
import { runChat, type ToolsOf } from "./run-chat.ts";
import { ToolSet } from "./tool-set.ts";

/**
 * Declares a chat agent. Its input is a text, or messages in the fashion of OpenAI or LangChain; its thread keeps all messages.
 *
 * @throws AGENT_INVALID, TOOL_INVALID, DURATION_INVALID, RETRY_INVALID
 */
export function chatAgent<const T extends ChatTools>(definition: ChatAgentDefinition<T>): Agent<ChatInput, ChatState> {
  const {
    name,
    description,
    model,
    maxTurns = CHAT_TURNS_DEFAULT,
    budget,
    limits,
    queue,
    concurrency,
    band,
  } = definition;
  const wrong = (problem: string): Error => fail("AGENT_INVALID", { agent: String(name).slice(0, 100), problem });
  if (typeof model !== "string" || model === "") throw wrong("model is no name of a model");
  if (!Number.isInteger(maxTurns) || maxTurns < 1) throw wrong("maxTurns is not a whole number above 0");
  const general = definition as unknown as ChatAgentDefinition;
  watchOf(general);
  const toolsOf = toolsGiver(general);
  const settings = { description, budget, limits, queue, concurrency, band };
  return agent({
    name,
    ...(Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as object),
    input: chatInput,
    run: (ctx: Ctx, input: ReadInput) => runChat(ctx, input, general, maxTurns, toolsOf),
  });
}

function toolsGiver({ tools = {}, toolOptions = {}, approvals = [] }: ChatAgentDefinition): ToolsOf {
  const options: Record<string, ToolOptions | undefined> = { ...toolOptions };
  for (const name of approvals) options[name] = { ...options[name], needsApproval: true };
  if (typeof tools === "function") return async (ctx) => new ToolSet(await tools(ctx), options);
  const set = new ToolSet(tools, options);
  return async () => set;
}
