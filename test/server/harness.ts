// A real server on a real port over a real database, a worker beside it, and readers of raw event streams.
import { Client } from "@langchain/langgraph-sdk";
import type { Longhaul } from "../../src/runtime/api.ts";
import { connect } from "../../src/runtime/connect.ts";
import { type RunningServer, type ServeOptions, serve } from "../../src/server/index.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { agents } from "./agents.ts";

export interface House {
  readonly database: FreshDatabase;
  readonly longhaul: Longhaul;
  readonly server: RunningServer;
  readonly client: Client;
  close(): Promise<void>;
}

/** Server and worker in one process, as `longhaul dev` has them. */
export async function openHouse(options: Partial<ServeOptions> = {}): Promise<House> {
  const database = await freshDatabase();
  const longhaul = await connect({ url: database.url, agents, worker: { slots: 20 } });
  const server = await serve({ longhaul, port: 0, log: silent, ...options });
  return {
    database,
    longhaul,
    server,
    client: clientOf(server),
    close: async () => {
      await server.close();
      await longhaul.close();
      await database.drop();
    },
  };
}

/** The log of servers whose trouble is what the test is about. */
export const silent = { error: () => undefined, warn: () => undefined };

export function clientOf(server: { readonly url: string }, apiKey: string | null = null): Client {
  return new Client({ apiUrl: server.url, apiKey, callerOptions: { maxRetries: 0 } });
}

export interface SseFrame {
  readonly event: string;
  readonly data: unknown;
  readonly id: string | undefined;
}

/** Frames of complete text; what is not a frame (heartbeats) is left out. */
export function parseFrames(text: string): SseFrame[] {
  return text
    .split("\n\n")
    .map((block) => block.split("\n").filter((line) => line !== "" && !line.startsWith(":")))
    .filter((lines) => lines.length > 0)
    .map((lines) => {
      const field = (name: string): string | undefined =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      return { event: field("event") ?? "", data: JSON.parse(field("data") ?? "null") as unknown, id: field("id") };
    });
}

/** The whole stream as its bytes say it. */
export async function readAll(url: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(url, { headers });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return withoutHeartbeats(await response.text());
}

export function withoutHeartbeats(text: string): string {
  return text.replaceAll(": heartbeat\n", "");
}

/** Reads until `enough` says so, then breaks the connection. */
export async function readUntil(
  url: string,
  enough: (frames: SseFrame[]) => boolean,
  init: RequestInit = {},
): Promise<{ frames: SseFrame[]; text: string }> {
  const response = await fetch(url, init);
  if (!response.ok || response.body === null) throw new Error(`${response.status}: ${await response.text()}`);
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    const complete = text.slice(0, text.lastIndexOf("\n\n") + 2);
    // Leaving the loop closes the connection.
    if (enough(parseFrames(complete))) return { frames: parseFrames(complete), text: withoutHeartbeats(complete) };
  }
  return { frames: parseFrames(text), text: withoutHeartbeats(text) };
}

export function post(
  server: { readonly url: string },
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
) {
  return fetch(server.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

/** Waits for a condition by asking again and again. */
export async function until<T>(ask: () => Promise<T | null | undefined | false>, patienceMs = 20_000): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== undefined && answer !== false) return answer;
    if (Date.now() > deadline) throw new Error("the condition did not come true");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A part of a stream as LangGraph's client gives it. */
export interface Part {
  readonly id?: string;
  readonly event: string;
  readonly data: unknown;
}

export async function collect(source: AsyncIterable<unknown>): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of source) parts.push(part as Part);
  return parts;
}

/** The code of an error's body. */
export async function codeOf(response: Response): Promise<unknown> {
  return ((await response.json()) as { code?: unknown }).code;
}
