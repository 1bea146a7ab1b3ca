// OpenAI's Chat Completions over fetch, and anything else that speaks it behind another base URL.
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

export interface OpenAiOptions {
  apiKey: string;
  /** Default `gpt-5-mini`. */
  model?: string | undefined;
  /** With the version, as OpenAI's own clients take it; default `https://api.openai.com/v1`. */
  baseUrl?: string | undefined;
  timeoutMs?: number;
}

// Room for a short answer after a reasoning model has thought; a limit, since every call is billed.
const outputTokensMax = 4_000;

/** A model that plans in JSON (structured outputs) and answers in text. */
export function openAiModel(options: OpenAiOptions): Model {
  const model = options.model ?? "gpt-5-mini";
  const name = `OpenAI ${model}`;
  const complete = (system: string, user: string, more: object, callOptions: CallOptions | undefined) =>
    chat({ ...options, model, name, body: { messages: messages(system, user), ...more } }, callOptions);
  const responseFormat = { type: "json_schema", json_schema: { name: "plan", strict: true, schema: planSchema } };
  return {
    name,
    offline: false,
    plan: async (question, callOptions) =>
      planFrom(name, await complete(planInstructions, question, { response_format: responseFormat }, callOptions)),
    answer: async (question, passages, callOptions) => {
      const request = answerRequest(question, passages);
      return answerFrom(name, await complete(answerInstructions, request, {}, callOptions), passages);
    },
  };
}

function messages(system: string, user: string) {
  return [
    { role: "system", content: system },
    { role: "user", content: user },
  ];
}

interface ChatCompletion {
  choices?: { finish_reason?: string; message?: { content?: string | null; refusal?: string | null } }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number };
}

type ChatCall = OpenAiOptions & { model: string; name: string; body: object };

async function chat(call: ChatCall, { signal, onUsage }: CallOptions = {}): Promise<string> {
  const base = (call.baseUrl ?? "https://api.openai.com/v1").replace(/\/+$/, "");
  const reply = (await callProvider({
    provider: call.name,
    url: `${base}/chat/completions`,
    apiKey: call.apiKey,
    headers: { authorization: `Bearer ${call.apiKey}` },
    body: { model: call.model, max_completion_tokens: outputTokensMax, ...call.body },
    signal,
    ...(call.timeoutMs === undefined ? {} : { timeoutMs: call.timeoutMs }),
  })) as ChatCompletion | null;
  const { prompt_tokens: inputTokens = 0, completion_tokens: outputTokens = 0 } = reply?.usage ?? {};
  onUsage?.({ inputTokens, outputTokens });
  const choice = reply?.choices?.[0];
  const refused = choice?.message?.refusal || (choice?.finish_reason === "content_filter" ? "content filter" : "");
  if (refused) throw new ModelError("MODEL_REFUSED", `${call.name} refused: ${refused}`);
  const content = choice?.message?.content;
  const cut = choice?.finish_reason === "length";
  if (typeof content === "string" && content !== "") return cut ? content + cutOffNote : content;
  const why = cut ? "used all its tokens before it answered" : "sent no text";
  throw new ModelError("MODEL_BAD_RESPONSE", `${call.name} ${why}.`, { retryable: true });
}
