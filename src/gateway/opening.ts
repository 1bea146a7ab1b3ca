// The record of an attempt, which is on the disk before the attempt goes out. Where nobody waits for a limit, it is written while the
// limits are asked: both take a statement, and neither needs the other's answer.
import type { CallFacts, OpenedCall } from "../domain/calls.ts";
import type { EarlyCall, Payer } from "./roles.ts";

export class Opening {
  readonly #payer: Payer;
  readonly #facts: CallFacts;
  #early: Promise<EarlyCall> | null = null;

  constructor(payer: Payer, facts: CallFacts) {
    this.#payer = payer;
    this.#facts = facts;
  }

  /** Ahead of the answer whether it may go out; where that cannot be taken back, later. */
  begin(): void {
    this.#early = this.#payer.openEarly?.(this.#facts) ?? null;
    this.#early?.catch(() => undefined);
  }

  /** @throws as `Payer.open` */
  done(): Promise<OpenedCall> {
    return this.#early ?? this.#payer.open(this.#facts);
  }

  /** It does not go out. */
  withdraw(): void {
    this.#early?.then(
      (call) => call.withdrawn(),
      () => undefined,
    );
  }
}
