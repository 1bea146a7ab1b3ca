// What the data of journal events says, read by the names that the runtime gives its members.
import type { Approval } from "../domain/approval.ts";
import type { RunEvent } from "../domain/entry.ts";
import type { Failure } from "../domain/failure.ts";
import { type Message, messageIn } from "../domain/tokens.ts";

function membersOf(event: RunEvent): Readonly<Record<string, unknown>> {
  return typeof event.data === "object" && event.data !== null ? (event.data as Record<string, unknown>) : {};
}

/** The value of a step or a state. */
export function carriedBy(event: RunEvent): unknown {
  return membersOf(event).value;
}

/** Why a step failed for good; null when it did not. */
export function failureOf(event: RunEvent): Failure | null {
  return (membersOf(event).failure as Failure | undefined) ?? null;
}

export function emitted(event: RunEvent): { name: unknown; payload: unknown } {
  const { name, payload } = membersOf(event);
  return { name: name ?? null, payload: payload ?? null };
}

export type Question = Pick<Approval, "approvalId" | "kind" | "name" | "request">;

/** The question to a person that a wait has opened; null for timers and signals. */
export function questionOf(event: RunEvent): Question | null {
  const { approvalId, label, request } = membersOf(event);
  if (typeof approvalId !== "string") return null;
  const [, kind = "interrupt", name = ""] = /^(approval|interrupt) (.*)$/s.exec(String(label)) ?? [];
  return { approvalId, kind: kind === "approval" ? "approval" : "interrupt", name, request };
}

/** How a worker let go of the run. */
export function moveOf(event: RunEvent): unknown {
  return membersOf(event).move;
}

export function finalStatusOf(event: RunEvent): unknown {
  return membersOf(event).status;
}

/** A step's name, as the graph's node: its key, where the first of its name needs no number, and what a mark tells apart none at all. */
export function nodeOf(key: string | null): string {
  return (key ?? "step").replace(/@[^/@#]*#\d+$/, "").replace(/#1$/, "");
}

/** The message that an entry ends; null for one that ends none. */
export function messageOf(event: RunEvent): (Message & { readonly attempt: number }) | null {
  const { value, text, tokens, attempt, attempts } = membersOf(event);
  const isEnd = event.kind === "message" || (event.kind === "step" && tokens !== undefined);
  const message = isEnd ? messageIn(event.kind === "message" ? text : value) : null;
  return message === null ? null : { ...message, attempt: Number(attempt ?? attempts) };
}
