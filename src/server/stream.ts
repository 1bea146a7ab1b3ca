// A run's journal as LangGraph's event stream: from a cursor to the end, or to the next question to a person.
import type { RunEvent } from "../domain/entry.ts";
import type { Tenant } from "../runtime/api.ts";
import { carriedBy, emitted, failureOf, finalStatusOf, moveOf, nodeOf, type Question, questionOf } from "./entries.ts";
import { interruptValues } from "./langgraph.ts";
import { MessageStream } from "./messages.ts";
import type { StreamMode } from "./schemas.ts";
import { FROM_START, type Frame, framesText } from "./sse.ts";
import { failedError, followAll, pausedError, runOf, standstillOf } from "./standstill.ts";

export interface StreamView {
  /** Entries after this one; FROM_START greets first. */
  readonly after: number;
  readonly modes: readonly StreamMode[];
  /** A request that has just answered a question: it is greeted, and told what is still asked. */
  readonly resumed?: boolean;
}

/**
 * Whole frames, entry by entry. The frames of an entry depend on the journal alone, so every reader gets the same bytes; only what
 * carries no id (the greeting of a resumed run, the news that it is paused or still asks, the tokens of messages) depends on the
 * moment.
 */
export async function* langgraphStream(
  tenant: Tenant,
  runId: string,
  view: StreamView,
  abort: AbortSignal,
): AsyncGenerator<string> {
  const after = Math.max(view.after, 0);
  const greeting = { event: "metadata", data: { run_id: runId, attempt: 1 } };
  if (view.after === FROM_START) yield framesText([greeting], 0);
  else if (view.resumed === true) yield framesText([greeting], null);
  const still = await stillness(tenant, runId, after);
  if (still !== null) {
    if (still.length > 0 && (view.resumed === true || still[0]?.event === "error")) yield framesText(still, null);
    return;
  }
  const questions = await Questions.upTo(tenant, runId, after, abort);
  const hasBeenHere = view.after !== FROM_START && view.resumed !== true;
  const messages = new MessageStream(await runOf(tenant, runId), view.modes, hasBeenHere);
  for await (const event of followAll(tenant, runId, { after, abort, tokens: messages.areWanted })) {
    const said = event.kind === "tokens" ? messages.write(event) : messages.end(event);
    if (said.length > 0) yield framesText(said, null);
    if (event.kind === "tokens") continue;
    questions.follow(event);
    const frames = [...messages.record(event), ...(await framesOf(tenant, event, view.modes, questions))];
    if (frames.length > 0) yield framesText(frames, event.seq);
    if (event.kind !== "released" && event.kind !== "lost") continue;
    const now = await stillness(tenant, runId, event.seq);
    if (now === null) continue;
    if (now[0]?.event === "error") yield framesText(now, null);
    return;
  }
}

/** Not null when nothing will follow entry `seq` until a person acts: what there is to say about it. */
async function stillness(tenant: Tenant, runId: string, seq: number): Promise<Frame[] | null> {
  const run = await runOf(tenant, runId);
  if (run.journalSeq > seq || (run.status !== "waiting" && run.status !== "paused")) return null;
  const standstill = await standstillOf(tenant, run);
  if (standstill?.kind === "paused") return [{ event: "error", data: pausedError(run) }];
  return standstill?.kind === "asked" ? [{ event: "values", data: interruptValues(standstill.pending) }] : null;
}

async function framesOf(
  tenant: Tenant,
  event: RunEvent,
  modes: readonly StreamMode[],
  questions: Questions,
): Promise<Frame[]> {
  const frames: Frame[] = [];
  const add = (mode: StreamMode, data: unknown): void => {
    if (modes.includes(mode)) frames.push({ event: mode, data });
  };
  add("debug", { step: event.seq, type: event.kind, timestamp: event.at, payload: event });
  switch (event.kind) {
    case "step": {
      const failure = failureOf(event);
      const value = carriedBy(event);
      add("tasks", taskOf(event, failure === null ? { result: value } : { error: failure.message }));
      if (failure === null) add("updates", { [nodeOf(event.key)]: value ?? null });
      break;
    }
    case "emit":
      add("custom", emitted(event));
      break;
    case "state":
      add("values", carriedBy(event) ?? null);
      break;
    case "released": {
      const asked = moveOf(event) === "wait" ? questions.open : [];
      if (asked.length === 0) break;
      add("updates", interruptValues(asked));
      add("values", interruptValues(asked));
      break;
    }
    case "finished":
      frames.push(...(await lastFrames(tenant, event, modes)));
      break;
    default:
      break;
  }
  return frames;
}

function taskOf(event: RunEvent, outcome: Record<string, unknown>): Record<string, unknown> {
  return { id: `${event.runId}:${event.key}`, name: nodeOf(event.key), ...outcome, interrupts: [] };
}

/** A cancelled run ends without a word; its status tells. */
async function lastFrames(tenant: Tenant, event: RunEvent, modes: readonly StreamMode[]): Promise<Frame[]> {
  if (finalStatusOf(event) === "cancelled") return [];
  const result = await tenant.result(event.runId);
  if (result?.status === "failed") return [{ event: "error", data: failedError(result) }];
  if (result?.status !== "succeeded" || !modes.includes("values")) return [];
  return [{ event: "values", data: result.output ?? null }];
}

/** Which questions are open at a place in the journal: known from the entries alone, so that it is the same on every read. */
class Questions {
  /** By the key of the step that asked. */
  readonly #open = new Map<string, Question>();

  /** As they stood after entry `seq`. A run that never asked costs one look, not a journal. */
  static async upTo(tenant: Tenant, runId: string, seq: number, abort: AbortSignal): Promise<Questions> {
    const questions = new Questions();
    if (seq === 0 || (await tenant.approvals({ runId, limit: 1 })).length === 0) return questions;
    for await (const event of tenant.stream(runId, { abort })) {
      if (event.seq <= seq) questions.follow(event);
      if (event.seq >= seq) break;
    }
    return questions;
  }

  follow(event: RunEvent): void {
    if (event.key === null) return;
    if (event.kind === "received") this.#open.delete(event.key);
    const question = event.kind === "wait" ? questionOf(event) : null;
    if (question !== null) this.#open.set(event.key, question);
  }

  get open(): readonly Question[] {
    return [...this.#open.values()];
  }
}
