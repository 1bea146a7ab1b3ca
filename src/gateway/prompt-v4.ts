// A prompt of specification v3 as v4 wants it: every file says whether it is bytes, an address or a reference.
import type { LanguageModelV3Message, LanguageModelV3Prompt, LanguageModelV3ToolResultOutput } from "@ai-sdk/provider";

/** `owner`: whose ids of files are meant. */
export function promptForV4(prompt: LanguageModelV3Prompt, owner: string): object[] {
  return prompt.map((message) =>
    message.role === "system" ? message : { ...message, content: contentOf(message, owner) },
  );
}

function contentOf(message: Exclude<LanguageModelV3Message, { role: "system" }>, owner: string): object[] {
  return message.content.map((part) => {
    if (part.type === "file") return { ...part, data: fileData(part.data, part.originalUrl) };
    return part.type === "tool-result" ? { ...part, output: output(part.output, owner) } : part;
  });
}

/** What is tagged already came through a v4 caller, and stays as it is. */
function fileData(data: unknown, originalUrl: string | undefined): unknown {
  if (data instanceof URL) return { type: "url", url: data, ...(originalUrl === undefined ? {} : { originalUrl }) };
  return typeof data === "string" || data instanceof Uint8Array ? { type: "data", data } : data;
}

function output(result: LanguageModelV3ToolResultOutput, owner: string): object {
  if (result.type !== "content") return result;
  return { ...result, value: result.value.map((part) => contentPart(part, owner)) };
}

type ContentPart = Extract<LanguageModelV3ToolResultOutput, { type: "content" }>["value"][number];

function contentPart(part: ContentPart, owner: string): object {
  const shared = {
    type: "file",
    ...(part.providerOptions === undefined ? {} : { providerOptions: part.providerOptions }),
  };
  switch (part.type) {
    case "file-data":
    case "image-data":
      return { ...shared, mediaType: part.mediaType, ...filename(part), data: { type: "data", data: part.data } };
    case "file-url":
      return {
        ...shared,
        mediaType: part.mediaType ?? "application/octet-stream",
        data: { type: "url", url: new URL(part.url) },
      };
    case "image-url":
      return { ...shared, mediaType: "image/*", data: { type: "url", url: new URL(part.url) } };
    case "file-id":
      return { ...shared, mediaType: "application/octet-stream", data: reference(part.fileId, owner) };
    case "image-file-id":
      return { ...shared, mediaType: "image/*", data: reference(part.fileId, owner) };
    default:
      return part;
  }
}

function filename(part: ContentPart): { filename?: string } {
  return part.type === "file-data" && part.filename !== undefined ? { filename: part.filename } : {};
}

function reference(fileId: string | Readonly<Record<string, string>>, owner: string): object {
  return { type: "reference", reference: typeof fileId === "string" ? { [owner]: fileId } : fileId };
}
