// The official clients, pointed at the fake provider.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import type { LanguageModel } from "ai";
import type { FakeProvider } from "../../support/fake-provider/handle.ts";

export type Wire = "openai responses" | "openai chat" | "compatible" | "anthropic" | "google";

export const WIRES: readonly Wire[] = ["openai responses", "openai chat", "compatible", "anthropic", "google"];

export function providersOf({ urls, key }: Pick<FakeProvider, "urls" | "key">, apiKey = key) {
  return {
    openai: createOpenAI({ baseURL: urls.openai, apiKey }),
    anthropic: createAnthropic({ baseURL: urls.anthropic, apiKey }),
    google: createGoogleGenerativeAI({ baseURL: urls.google, apiKey }),
    compatible: createOpenAICompatible({
      name: "compatible",
      baseURL: urls.compatible,
      apiKey,
      includeUsage: true,
      supportsStructuredOutputs: true,
    }),
  };
}

export function modelOf(
  fake: Pick<FakeProvider, "urls" | "key">,
  wire: Wire,
  apiKey = fake.key,
): Exclude<LanguageModel, string> {
  const { openai, anthropic, google, compatible } = providersOf(fake, apiKey);
  switch (wire) {
    case "openai responses":
      return openai("gpt-5-mini");
    case "openai chat":
      return openai.chat("gpt-5-mini");
    case "compatible":
      return compatible("llama-fake");
    case "anthropic":
      return anthropic("claude-sonnet-4-5");
    case "google":
      return google("gemini-2.5-flash");
  }
}
