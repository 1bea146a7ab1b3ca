// A run as the bytes of an AI SDK client's stream: from where the client stands to the end, or to the next question.
import type { RunEvent } from "../../domain/entry.ts";
import type { Tenant } from "../../runtime/api.ts";
import { moveOf } from "../entries.ts";
import { jsonText } from "../json.ts";
import { RunChunks } from "./run-chunks.ts";
import type { UiChunk } from "./shown-message.ts";

export interface UiRunView {
  /** The runs that make up the message, in their order: all but the last have ended. */
  readonly runIds: readonly string[];
  /** Of the message; null where the client goes on with the one it has. */
  readonly messageId: string | null;
  /** Say nothing of what came before these questions were asked: the client has it. */
  readonly afterApprovals: ReadonlySet<string> | null;
  /** Show tokens as they come, not only what is recorded. */
  readonly live: boolean;
}

/** What ends the stream of a run for a client. */
type Ending = "asked" | "paused" | "finished" | "lost";

export async function* uiChunks(tenant: Tenant, view: UiRunView, abort: AbortSignal): AsyncGenerator<UiChunk> {
  yield { type: "start", ...(view.messageId === null ? {} : { messageId: view.messageId }) };
  const chunks = new RunChunks();
  let ending: Ending = "finished";
  for (const runId of view.runIds) ending = yield* oneRun(tenant, runId, chunks, view, abort);
  yield* chunks.end();
  const last = view.runIds.at(-1) ?? "";
  if (ending === "asked") yield { type: "finish", finishReason: "tool-calls" };
  else if (ending === "paused") yield { type: "error", errorText: "The run is paused: a person has to look at it." };
  else if (ending === "lost") {
    abort.throwIfAborted();
    throw new Error(`run ${last} cannot be followed any more`);
  } else yield* endOf(tenant, last, chunks);
}

async function* oneRun(
  tenant: Tenant,
  runId: string,
  chunks: RunChunks,
  { live, afterApprovals }: UiRunView,
  abort: AbortSignal,
): AsyncGenerator<UiChunk, Ending> {
  const silent = new Set(afterApprovals);
  for await (const event of tenant.stream(runId, { abort, tokens: live })) {
    const said = event.kind === "tokens" ? chunks.tokens(event) : chunks.event(event);
    if (silent.size === 0) yield* said;
    else {
      for (const chunk of said) silent.delete(String(chunk["approvalId"]));
    }
    if (event.kind === "finished") return "finished";
    const ending = silent.size === 0 && event.kind === "released" ? await standstill(tenant, chunks, event) : null;
    if (ending !== null) return ending;
  }
  return "lost";
}

/** Not null when nothing comes before a person acts. What was asked and answered since need not stop anybody. */
async function standstill(tenant: Tenant, chunks: RunChunks, event: RunEvent): Promise<Ending | null> {
  const run = await tenant.get(event.runId);
  if (run === null || run.journalSeq > event.seq) return null;
  if (moveOf(event) === "pause" && run.status === "paused") return "paused";
  return moveOf(event) === "wait" && run.status === "waiting" && chunks.asks ? "asked" : null;
}

async function* endOf(tenant: Tenant, runId: string, chunks: RunChunks): AsyncGenerator<UiChunk> {
  const result = await tenant.result(runId);
  if (result?.status === "failed") yield { type: "error", errorText: result.failure.message };
  else if (result?.status === "cancelled") yield { type: "abort" };
  else {
    const text = textOf(result?.output);
    if (!chunks.saidSomething && text !== null) {
      yield { type: "text-start", id: "output" };
      yield { type: "text-delta", id: "output", delta: text };
      yield { type: "text-end", id: "output" };
    }
    const { finishReason } = chunks;
    yield { type: "finish", ...(finishReason === undefined ? {} : { finishReason }) };
  }
}

/** An agent that speaks to no model says what it gives back. */
function textOf(output: unknown): string | null {
  if (typeof output === "string") return output;
  const { text } = (typeof output === "object" && output !== null ? output : {}) as { text?: unknown };
  return typeof text === "string" && text !== "" ? text : null;
}

/** JSON text has no line breaks of its own, so no value can forge a frame. */
export function frame(chunk: UiChunk): string {
  return `data: ${jsonText(chunk, { stacks: false })}\n\n`;
}

export const LAST_FRAME = "data: [DONE]\n\n";
