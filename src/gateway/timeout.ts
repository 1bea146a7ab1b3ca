// The reason with which the gateway aborts an attempt of its own accord, so that nobody takes it for a cancel.
import { formatDuration } from "../domain/duration.ts";

/** `attempt`: it took too long in all · `idle`: its stream fell silent. */
export type TimeoutPhase = "attempt" | "idle";

export class AttemptTimeout extends Error {
  override readonly name = "AttemptTimeout";
  readonly phase: TimeoutPhase;

  constructor(phase: TimeoutPhase, ms: number) {
    const span = formatDuration(ms);
    super(phase === "attempt" ? `There was no complete answer within ${span}.` : `Nothing came for ${span}.`);
    this.phase = phase;
  }
}
