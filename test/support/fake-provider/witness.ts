// The outside witness: everything that reached the provider, with its times, whatever became of who sent it.
import type { IncomingHttpHeaders } from "node:http";
import type { Protocol, Wire } from "./conversation.ts";
import type { Usage } from "./reply.ts";

/**
 * `open` not answered yet · `answered` · `refused` with an HTTP error · `client_left` before the answer was whole · `cut` ended by a fault
 * before it was whole.
 */
export type CallOutcome = "open" | "answered" | "refused" | "client_left" | "cut";

export interface WitnessedCall {
  /** From 1, in order of arrival. */
  readonly number: number;
  readonly method: string;
  readonly path: string;
  readonly protocol: Protocol | null;
  readonly operation: string;
  readonly headers: IncomingHttpHeaders;
  /** Milliseconds since 1970, with fractions. */
  readonly startedAtMs: number;
  endedAtMs: number | null;
  outcome: CallOutcome;
  status: number | null;
  model: string | null;
  stream: boolean;
  /** Null where there was none, a string where it was not JSON. */
  body: Wire;
  /** The same for requests of the same path and bytes. */
  fingerprint: string;
  /** How often this very request had come, from 1. */
  arrival: number;
  /** The batch whose item it is. */
  batch: string | null;
  /** Kind of the fault, or `limit:requests` and the like. */
  fault: string | null;
  /** What was really used: the truth behind what the answer says. Null until it is answered. */
  usage: Usage | null;
  /** What the model said. */
  text: string | null;
  toolCalls: readonly { readonly id: string; readonly name: string; readonly arguments: string }[];
}

export interface Counts {
  readonly received: number;
  readonly answered: number;
  readonly refused: number;
  readonly left: number;
  readonly cut: number;
  readonly open: number;
  /** The most that were ever open together. */
  readonly mostOpen: number;
  readonly violations: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Different requests whose arrivals are counted: of more, the oldest are forgotten. */
const REMEMBERED = 200_000;
const OUTCOME_COUNT = { answered: 0, refused: 0, client_left: 0, cut: 0 };

export class Witness {
  /** Of the latest so many. */
  readonly #keep: number;
  #calls: WitnessedCall[] = [];
  #ended = { ...OUTCOME_COUNT };
  #number = 0;
  #received = 0;
  #open = 0;
  #mostOpen = 0;
  #tokens = { inputTokens: 0, outputTokens: 0 };
  #arrivals = new Map<string, number>();
  #waiting: { readonly met: (calls: readonly WitnessedCall[]) => boolean; readonly resolve: () => void }[] = [];

  constructor(keep: number) {
    this.#keep = keep;
  }

  get calls(): readonly WitnessedCall[] {
    return this.#calls;
  }

  get received(): number {
    return this.#received;
  }

  arrive(call: Omit<WitnessedCall, "number">): WitnessedCall {
    this.#number += 1;
    this.#received += 1;
    this.#open += 1;
    this.#mostOpen = Math.max(this.#mostOpen, this.#open);
    const witnessed: WitnessedCall = { number: this.#number, ...call };
    this.#calls.push(witnessed);
    if (this.#calls.length > this.#keep * 2) this.#calls = this.#calls.slice(-this.#keep);
    return witnessed;
  }

  /** How often this very request has come, this time included. */
  countArrival(fingerprint: string): number {
    const arrival = (this.#arrivals.get(fingerprint) ?? 0) + 1;
    this.#arrivals.set(fingerprint, arrival);
    if (this.#arrivals.size > REMEMBERED) this.#arrivals.delete(this.#arrivals.keys().next().value ?? "");
    this.changed();
    return arrival;
  }

  end(call: WitnessedCall, outcome: Exclude<CallOutcome, "open">, atMs: number): void {
    if (call.outcome !== "open") return;
    call.outcome = outcome;
    call.endedAtMs = atMs;
    this.#open -= 1;
    this.#ended[outcome] += 1;
    if (call.usage !== null) {
      this.#tokens.inputTokens += call.usage.inputTokens;
      this.#tokens.outputTokens += call.usage.outputTokens;
    }
    this.changed();
  }

  /** Resolves when what was received meets a condition. */
  until(met: (calls: readonly WitnessedCall[]) => boolean): Promise<void> {
    if (met(this.#calls)) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ met, resolve }));
  }

  changed(): void {
    if (this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.filter(({ met, resolve }) => {
      const done = met(this.#calls);
      if (done) resolve();
      return !done;
    });
  }

  counts(violations: number): Counts {
    const { answered, refused, client_left: left, cut } = this.#ended;
    const open = { open: this.#open, mostOpen: this.#mostOpen };
    return { received: this.#received, answered, refused, left, cut, ...open, violations, ...this.#tokens };
  }

  /** Forgets what is over; what is still open stays. */
  clear(): void {
    this.#calls = this.#calls.filter((call) => call.outcome === "open");
    this.#ended = { ...OUTCOME_COUNT };
    this.#received = this.#open;
    this.#mostOpen = this.#open;
    this.#tokens = { inputTokens: 0, outputTokens: 0 };
    this.#arrivals.clear();
  }
}
