// Gemini's :generateContent and :streamGenerateContent.
import { type AskedTool, type Message, message, type Prompt, toolResult, type Wire } from "./conversation.ts";
import type { Answer, Complaint, Dialect } from "./dialect.ts";
import type { Finish, Usage } from "./reply.ts";
import { chunksOf } from "./sse.ts";

const FINISH_REASON: Readonly<Record<Finish, string>> = {
  stop: "STOP",
  length: "MAX_TOKENS",
  "tool-calls": "STOP",
  "content-filter": "SAFETY",
};

export const geminiGenerate: Dialect = {
  operation: "generate",
  check: checkGenerate,
  prompt: readGenerate,
  unanswered: () => ({
    status: 400,
    message:
      "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
  }),
  whole: (answer) => chunk(answer, partsOf(answer), true),
  pieces: piecesOf,
  streamError: (error) => sse(error.body),
};

function checkGenerate(body: Wire): Complaint | null {
  if (Array.isArray(body.contents) && body.contents.length > 0) return null;
  const message = "* GenerateContentRequest.contents: contents is not specified\n";
  return { status: 400, message };
}

function readGenerate(body: Wire): Prompt {
  const config = body.generationConfig ?? {};
  const calling = body.toolConfig?.functionCallingConfig;
  const tools = (Array.isArray(body.tools) ? body.tools : [body.tools ?? {}])
    .flatMap((tool: Wire) => tool.functionDeclarations ?? [])
    .map((tool: Wire) => ({ name: tool.name, schema: tool.parametersJsonSchema ?? tool.parameters ?? {} }));
  const wanted = config.responseMimeType === "application/json";
  const only = calling?.allowedFunctionNames;
  return {
    messages: [
      ...(body.systemInstruction ? [message("system", textOfParts(body.systemInstruction.parts))] : []),
      ...readContents(body.contents),
    ],
    tools,
    toolChoice:
      calling?.mode === "ANY"
        ? only?.length === 1
          ? { name: only[0] }
          : "required"
        : calling?.mode === "NONE"
          ? "none"
          : "auto",
    schema: wanted ? (config.responseJsonSchema ?? config.responseSchema ?? {}) : null,
    maxOutputTokens: config.maxOutputTokens ?? null,
    inputs: [],
  };
}

/** Gemini's calls may have no ids: then they are told apart by their order, as their results are. */
function readContents(contents: Wire[]): Message[] {
  const messages: Message[] = [];
  let asked: AskedTool[] = [];
  for (const [turn, { role, parts = [] }] of contents.entries()) {
    const answered = parts.filter((part: Wire) => part.functionResponse !== undefined);
    for (const { functionResponse } of answered) {
      const at = asked.findIndex((call) => call.id === functionResponse.id || call.name === functionResponse.name);
      const [call] = at < 0 ? [] : asked.splice(at, 1);
      messages.push(toolResult(call?.id ?? "", JSON.stringify(functionResponse.response)));
    }
    const text = textOfParts(parts);
    if (answered.length > 0 && text === "") continue;
    asked = parts
      .filter((part: Wire) => part.functionCall !== undefined)
      .map(({ functionCall }: Wire, at: number) => ({
        id: functionCall.id ?? `turn ${turn} call ${at}`,
        name: functionCall.name,
        arguments: JSON.stringify(functionCall.args ?? {}),
      }));
    messages.push(message(role === "model" ? "assistant" : "user", text, [...asked]));
  }
  return messages;
}

function textOfParts(parts: Wire[] = []): string {
  return parts.map((part) => (typeof part.text === "string" && part.thought !== true ? part.text : "")).join("");
}

function partsOf(answer: Answer, reasoning = answer.reasoning, text = answer.text): Wire[] {
  return [
    ...(reasoning === "" ? [] : [{ text: reasoning, thought: true }]),
    ...(text === "" ? [] : [{ text }]),
    ...answer.toolCalls.map(({ id, name, arguments: args }) => ({
      functionCall: { id, name, args: parsedOr(args) },
      thoughtSignature: "ZmFrZQ==",
    })),
  ];
}

/** Arguments that do not parse cannot come over this wire: they come as a string where an object should be. */
function parsedOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function chunk(answer: Answer, parts: Wire[], last: boolean): Wire {
  const filtered = answer.finish === "content-filter" && last;
  const content = parts.length === 0 && filtered ? {} : { content: { parts, role: "model" } };
  const ratings = [{ category: "HARM_CATEGORY_DANGEROUS_CONTENT", probability: "HIGH", blocked: true }];
  return {
    candidates: [
      {
        ...content,
        ...(last ? { finishReason: FINISH_REASON[answer.finish] } : {}),
        ...(filtered ? { safetyRatings: ratings } : {}),
        index: 0,
      },
    ],
    ...(answer.usage === null ? {} : { usageMetadata: usageOf(answer.usage, last) }),
    modelVersion: answer.model,
    responseId: answer.id,
  };
}

/** Thoughts are counted apart from the candidates; only the last chunk has counted everything. */
function usageOf(usage: Usage, last: boolean): Wire {
  const candidates = usage.outputTokens - usage.reasoningTokens;
  return {
    promptTokenCount: usage.inputTokens,
    ...(last ? { candidatesTokenCount: candidates } : {}),
    totalTokenCount: usage.inputTokens + (last ? usage.outputTokens : 0),
    ...(usage.cacheReadTokens > 0 ? { cachedContentTokenCount: usage.cacheReadTokens } : {}),
    promptTokensDetails: [{ modality: "TEXT", tokenCount: usage.inputTokens }],
    ...(usage.reasoningTokens > 0 && last ? { thoughtsTokenCount: usage.reasoningTokens } : {}),
  };
}

function piecesOf(answer: Answer): string[] {
  const said: Wire[][] = [
    ...chunksOf(answer.reasoning, answer.chunkCharacters).map((text) => [{ text, thought: true }]),
    ...chunksOf(answer.text, answer.chunkCharacters).map((text) => [{ text }]),
  ];
  if (answer.toolCalls.length > 0) said.push(partsOf(answer, "", ""));
  if (said.length === 0) said.push([]);
  return said.map((parts, at) => sse(chunk(answer, parts, at === said.length - 1)));
}

/** Gemini ends its lines with CR LF. */
function sse(value: unknown): string {
  return `data: ${JSON.stringify(value)}\r\n\r\n`;
}
