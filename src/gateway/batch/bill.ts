// Who pays for the one request of a batch: nobody at once. What it costs is kept, to be divided among its items.
import { v7 as uuidv7 } from "uuid";
import type { CallOutcome, OpenedCall, PriceConfidence } from "../../domain/calls.ts";
import type { Share } from "../../domain/divide.ts";
import { NO_TOKENS, type TokenUsage } from "../../domain/usage.ts";
import type { Payer } from "../roles.ts";

export class Bill implements Payer {
  /** The items' own budgets were asked when they were entered. */
  readonly limits = { usd: false };
  readonly #beforeSending: () => Promise<void>;
  #usage: TokenUsage = NO_TOKENS;
  #nanoUsd = 0n;
  #confidence: PriceConfidence | null = null;

  /** `beforeSending` is committed before anything goes out: a process that dies after it may have paid. */
  constructor(beforeSending: () => Promise<void>) {
    this.#beforeSending = beforeSending;
  }

  get whole(): Share {
    return { usage: this.#usage, nanoUsd: this.#nanoUsd };
  }

  get confidence(): PriceConfidence | null {
    return this.#confidence;
  }

  async reserve(): Promise<void> {}

  settle(): void {}

  async open(): Promise<OpenedCall> {
    await this.#beforeSending();
    const add = (outcome: CallOutcome): void => this.#add(outcome);
    return { callId: uuidv7(), succeeded: add, failed: (_, outcome) => add(outcome) };
  }

  note(): void {}

  #add({ usage, nanoUsd, confidence }: CallOutcome): void {
    const names = Object.keys(NO_TOKENS) as (keyof TokenUsage)[];
    const sums = names.map((name) => [name, this.#usage[name] + usage[name]]);
    this.#usage = Object.fromEntries(sums) as unknown as TokenUsage;
    this.#nanoUsd += nanoUsd;
    this.#confidence = confidence;
  }
}
