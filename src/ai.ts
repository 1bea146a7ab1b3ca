// What `import ... from "longhaul/ai"` gives: chat agents, tools, and the endpoint for `useChat`.

export {
  type AnyBatcher,
  type Batcher,
  type BatcherDefinition,
  type BatchSizes,
  batcher,
} from "./agents/ai/batcher.ts";
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
export { type ModelBatcherDefinition, modelBatcher } from "./agents/ai/model-batcher.ts";
export type {
  AiSettings,
  BatchOptions,
  EmbedOptions,
  ModelOptions,
  ToolOptions,
  ToolsOptions,
} from "./agents/ai/options.ts";
export {
  type CpuTool,
  type PlainTool,
  type ToolElsewhere,
  type ToolInfo,
  type ToolOfSteps,
  tool,
} from "./agents/ai/tool.ts";
export type { UiChatRequest, UiMessage, UiPart } from "./server/ui/chat-request.ts";
export { type UiMessageStreamOptions, uiMessageStream } from "./server/ui/handler.ts";
