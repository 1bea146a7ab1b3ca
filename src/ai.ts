// What `import ... from "longhaul/ai"` gives: chat agents, tools, and the endpoint for `useChat`.

export { chatAgent } from "./agents/ai/chat/chat-agent.ts";
export type { ChatAgentDefinition, ChatSettings, ChatTools } from "./agents/ai/chat/definition.ts";
export type {
  AiMessage,
  ChatInput,
  ChatMessage,
  ChatState,
  HumanMessage,
  MessageInput,
  SystemMessage,
  ToolMessage,
} from "./agents/ai/chat/messages.ts";
export type { AiSettings, EmbedOptions, ModelOptions, ToolOptions, ToolsOptions } from "./agents/ai/options.ts";
export { type ToolDefinition, type ToolInfo, tool } from "./agents/ai/tool.ts";
export type { UiChatRequest, UiMessage, UiPart } from "./server/ui/chat-request.ts";
export { type UiMessageStreamOptions, uiMessageStream } from "./server/ui/handler.ts";
