// Which path is what, in each of the protocols. They collide on /v1/…, so each has a prefix; without one, most paths still tell.
import type { Protocol } from "./conversation.ts";
import type { Operation } from "./request.ts";

export type Deed =
  | Operation
  | "models"
  | "count_tokens"
  | "file_upload"
  | "file_list"
  | "file"
  | "file_content"
  | "file_delete"
  | "batch_create"
  | "batch_list"
  | "batch"
  | "batch_cancel"
  | "batch_results";

export interface Route {
  readonly protocol: Protocol;
  readonly operation: Deed;
  /** In the path: a model, a file, a batch. */
  readonly id: string | null;
  /** Gemini says it in the path. */
  readonly streamed: boolean;
}

const PREFIX = /^\/(openai|compatible|anthropic|google)(?=\/)/;
const ID = "([^/]+)";

type Entry = readonly [method: string, path: RegExp, operation: Deed];

const entry = (method: string, path: string, operation: Deed): Entry => [method, new RegExp(`^${path}$`), operation];

const OPENAI: readonly Entry[] = [
  entry("POST", "/v1/chat/completions", "chat"),
  entry("POST", "/v1/responses", "responses"),
  entry("POST", "/v1/embeddings", "embeddings"),
  entry("GET", "/v1/models", "models"),
  entry("GET", `/v1/models/${ID}`, "models"),
  entry("POST", "/v1/files", "file_upload"),
  entry("GET", "/v1/files", "file_list"),
  entry("GET", `/v1/files/${ID}`, "file"),
  entry("DELETE", `/v1/files/${ID}`, "file_delete"),
  entry("GET", `/v1/files/${ID}/content`, "file_content"),
  entry("POST", "/v1/batches", "batch_create"),
  entry("GET", "/v1/batches", "batch_list"),
  entry("GET", `/v1/batches/${ID}`, "batch"),
  entry("POST", `/v1/batches/${ID}/cancel`, "batch_cancel"),
];
const ANTHROPIC: readonly Entry[] = [
  entry("POST", "/v1/messages", "messages"),
  entry("POST", "/v1/messages/count_tokens", "count_tokens"),
  entry("POST", "/v1/messages/batches", "batch_create"),
  entry("GET", "/v1/messages/batches", "batch_list"),
  entry("GET", `/v1/messages/batches/${ID}`, "batch"),
  entry("POST", `/v1/messages/batches/${ID}/cancel`, "batch_cancel"),
  entry("GET", `/v1/messages/batches/${ID}/results`, "batch_results"),
  entry("GET", "/v1/models", "models"),
  entry("GET", `/v1/models/${ID}`, "models"),
];
const GOOGLE: readonly Entry[] = [
  entry("POST", "/v1(?:beta)?/models/([^/:]+):generateContent", "generate"),
  entry("POST", "/v1(?:beta)?/models/([^/:]+):streamGenerateContent", "generate"),
  entry("POST", "/v1(?:beta)?/models/([^/:]+):embedContent", "embeddings"),
  entry("POST", "/v1(?:beta)?/models/([^/:]+):batchEmbedContents", "embeddings"),
  entry("POST", "/v1(?:beta)?/models/([^/:]+):batchGenerateContent", "batch_create"),
  entry("GET", "/v1(?:beta)?/batches", "batch_list"),
  entry("GET", "/v1(?:beta)?/batches/([^/:]+)", "batch"),
  entry("POST", "/v1(?:beta)?/batches/([^/:]+):cancel", "batch_cancel"),
  entry("GET", "/v1(?:beta)?/models", "models"),
  entry("GET", "/v1(?:beta)?/models/([^/:]+)", "models"),
];

/** The protocol is known even where the path is not. */
export function routeOf(method: string, path: string): Route | { protocol: Protocol; operation: null } {
  const [whole = "", prefix] = PREFIX.exec(path) ?? [];
  const rest = path.slice(whole.length);
  const protocol = prefix === undefined ? protocolOf(rest) : prefix === "compatible" ? "openai" : (prefix as Protocol);
  const entries = protocol === "openai" ? OPENAI : protocol === "anthropic" ? ANTHROPIC : GOOGLE;
  for (const [wanted, pattern, operation] of entries) {
    if (wanted !== method) continue;
    const match = pattern.exec(rest);
    if (match === null) continue;
    const id = match[1] === undefined ? null : decodeURIComponent(match[1]);
    return { protocol, operation, id, streamed: rest.endsWith(":streamGenerateContent") };
  }
  return { protocol, operation: null };
}

function protocolOf(path: string): Protocol {
  if (path.startsWith("/v1/messages")) return "anthropic";
  return path.startsWith("/v1beta/") ? "google" : "openai";
}
