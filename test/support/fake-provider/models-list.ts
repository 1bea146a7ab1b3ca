// GET …/models of each protocol.
import type { Protocol } from "./conversation.ts";

const CREATED_S = 1_767_225_600;

export function modelList(protocol: Protocol, names: readonly string[]): unknown {
  const all = names.map((name) => modelOf(protocol, name));
  switch (protocol) {
    case "openai":
      return { object: "list", data: all };
    case "anthropic":
      return { data: all, has_more: false, first_id: names[0] ?? null, last_id: names.at(-1) ?? null };
    case "google":
      return { models: all };
  }
}

export function modelOf(protocol: Protocol, name: string): unknown {
  switch (protocol) {
    case "openai":
      return { id: name, object: "model", created: CREATED_S, owned_by: "fake-provider" };
    case "anthropic":
      return { type: "model", id: name, display_name: `Fake ${name}`, created_at: "2026-01-01T00:00:00Z" };
    case "google":
      return {
        name: `models/${name}`,
        version: "fake",
        displayName: `Fake ${name}`,
        inputTokenLimit: 1_048_576,
        outputTokenLimit: 65_536,
        supportedGenerationMethods: ["generateContent", "embedContent"],
      };
  }
}
