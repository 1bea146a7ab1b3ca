// Anthropic's Messages API over fetch, and anything else that speaks it behind another base URL.
import { type CallOptions, type Model, ModelError } from "./model-contract.ts";
import { callProvider } from "./model-http.ts";
import {
  answerFrom,
  answerInstructions,
  answerRequest,
  cutOffNote,
  planFrom,
  planInstructions,
  planSchema,
} from "./model-prompts.ts";

export interface AnthropicOptions {
  apiKey: string;
  /** Default `claude-haiku-4-5-20251001`. */
  model?: string | undefined;
  /** Without the version, as Anthropic's own clients take it; default `https://api.anthropic.com`. */
  baseUrl?: string | undefined;
  timeoutMs?: number;
}

const outputTokensMax = 2_000;

/** A model that plans through a tool it must call, whose input follows a JSON Schema, and answers in text. */
export function anthropicModel(options: AnthropicOptions): Model {
  const model = options.model ?? "claude-haiku-4-5-20251001";
  const name = `Anthropic ${model}`;
  const tool = { name: "search", description: "Runs the planned searches.", input_schema: planSchema };
  return {
    name,
    offline: false,
    plan: async (question, callOptions) => {
      const body = { system: planInstructions, tools: [tool], tool_choice: { type: "tool", name: tool.name } };
      const blocks = await send({ ...options, model, name, user: question, body }, callOptions);
      return planFrom(name, blocks.find((block) => block.type === "tool_use")?.input);
    },
    answer: async (question, passages, callOptions) => {
      const user = answerRequest(question, passages);
      const blocks = await send({ ...options, model, name, user, body: { system: answerInstructions } }, callOptions);
      return answerFrom(
        name,
        blocks.map((block) => (block.type === "text" ? (block.text ?? "") : "")).join(""),
        passages,
      );
    },
  };
}

interface Block {
  type: string;
  text?: string;
  input?: unknown;
}

interface Message {
  content?: Block[];
  stop_reason?: string | null;
  usage?: {
    input_tokens?: number;
    output_tokens?: number;
    cache_creation_input_tokens?: number | null;
    cache_read_input_tokens?: number | null;
  };
}

type MessageCall = AnthropicOptions & { model: string; name: string; user: string; body: object };

async function send(call: MessageCall, { signal, onUsage }: CallOptions = {}): Promise<Block[]> {
  const base = (call.baseUrl ?? "https://api.anthropic.com").replace(/\/+$/, "");
  const messages = [{ role: "user", content: call.user }];
  const reply = (await callProvider({
    provider: call.name,
    url: `${base}/v1/messages`,
    apiKey: call.apiKey,
    headers: { "x-api-key": call.apiKey, "anthropic-version": "2023-06-01" },
    body: { model: call.model, max_tokens: outputTokensMax, messages, ...call.body },
    signal,
    ...(call.timeoutMs === undefined ? {} : { timeoutMs: call.timeoutMs }),
  })) as Message | null;
  const usage = reply?.usage ?? {};
  // Cached tokens are reported beside the input, not within it.
  const cached = (usage.cache_creation_input_tokens ?? 0) + (usage.cache_read_input_tokens ?? 0);
  onUsage?.({ inputTokens: (usage.input_tokens ?? 0) + cached, outputTokens: usage.output_tokens ?? 0 });
  if (reply?.stop_reason === "refusal") throw new ModelError("MODEL_REFUSED", `${call.name} refused to answer.`);
  const cut = reply?.stop_reason === "max_tokens" ? [{ type: "text", text: cutOffNote }] : [];
  if (Array.isArray(reply?.content)) return [...reply.content, ...cut];
  throw new ModelError("MODEL_BAD_RESPONSE", `${call.name} sent no content.`, { retryable: true });
}
