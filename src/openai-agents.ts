// What `import ... from "longhaul/openai-agents"` gives: the OpenAI Agents SDK (`@openai/agents`) as part of a durable run.
export { type AgentsModelOptions, agentsModelProvider } from "./agents/ai/openai-agents/provider.ts";
export { agentsTools } from "./agents/ai/openai-agents/tools.ts";
