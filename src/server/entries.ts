// What the bodies of journal entries say, read by the names the engine gives their members.
import type { RunEvent } from "../domain/entry.ts";
import type { Failure } from "../domain/failure.ts";

function membersOf(event: RunEvent): Readonly<Record<string, unknown>> {
  return typeof event.data === "object" && event.data !== null ? (event.data as Record<string, unknown>) : {};
}

/** The value that an entry carries: of a step, an emitted event, a state, a received message. */
export function carriedBy(event: RunEvent): unknown {
  return membersOf(event).v;
}

/** Why a step failed for good, in the place of its value; null when it did not. */
export function failureOf(event: RunEvent): Failure | null {
  return membersOf(event).f === true ? (carriedBy(event) as Failure) : null;
}

export function emittedName(event: RunEvent): string | null {
  return (membersOf(event).name as string | undefined) ?? event.key;
}

/** The question that a wait opened; null for timers and signals. */
export function askedId(event: RunEvent): string | null {
  return (membersOf(event).approval as string | undefined) ?? null;
}

/** How a worker let go of the run. */
export function moveOf(event: RunEvent): string | null {
  return (membersOf(event).move as string | undefined) ?? null;
}

export function finalStatusOf(event: RunEvent): string | null {
  return (membersOf(event).status as string | undefined) ?? null;
}
