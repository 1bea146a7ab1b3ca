// The demo's client: plain HTTP, as any program in any language would do it.
import type { RunEvent } from "../../src/index.ts";

/** Submits a run and answers its id. @throws Error with what the server said */
export async function submitRun(
  baseUrl: string,
  agent: string,
  input: unknown,
  metadata: Readonly<Record<string, unknown>>,
): Promise<string> {
  const response = await fetch(`${baseUrl}/runs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ assistant_id: agent, input, metadata }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`POST /runs answered ${response.status}: ${text}`);
  return (JSON.parse(text) as { run_id: string }).run_id;
}

/** What the run gave in the end: waits for it. */
export async function outputOf(baseUrl: string, runId: string, signal: AbortSignal): Promise<unknown> {
  const response = await fetch(`${baseUrl}/runs/${runId}/join`, { signal });
  const text = await response.text();
  if (!response.ok) throw new Error(`GET /runs/${runId}/join answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

const RECONNECT_MS = 200;

/** Every journal event of a run as the server streams it, to the last one; reconnects with Last-Event-ID where it was. */
export async function* followRun(baseUrl: string, runId: string, signal: AbortSignal): AsyncGenerator<RunEvent> {
  let lastId = "";
  for (;;) {
    try {
      for await (const { id, event } of frames(`${baseUrl}/runs/${runId}/events`, lastId, signal)) {
        lastId = id;
        yield event;
        if (event.kind === "finished") return;
      }
    } catch (error) {
      signal.throwIfAborted();
      // A broken connection is what Last-Event-ID is for; a refusal is an error.
      if (!(error instanceof TypeError)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
  }
}

async function* frames(
  url: string,
  lastId: string,
  signal: AbortSignal,
): AsyncGenerator<{ id: string; event: RunEvent }> {
  const response = await fetch(url, { headers: lastId === "" ? {} : { "last-event-id": lastId }, signal });
  if (!response.ok || response.body === null) throw new Error(`GET ${url} answered ${response.status}`);
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const fields = fieldsOf(text.slice(0, end));
      text = text.slice(end + 2);
      if (fields.data !== undefined) yield { id: fields.id ?? "", event: JSON.parse(fields.data) as RunEvent };
    }
  }
}

/** The fields of one frame. A line that begins with a colon is a heartbeat. */
function fieldsOf(frame: string): Record<string, string> {
  const lines = frame.split("\n").filter((line) => line !== "" && !line.startsWith(":"));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]));
}
