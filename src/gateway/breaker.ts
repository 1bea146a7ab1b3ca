// Circuit breakers, one per target, shared by all processes: who is sick is left alone for a while, then one call tries.
import type { Database } from "../store/database.ts";
import type { Target } from "./roles.ts";

export interface BreakerRules {
  /** Part of the calls that must fail. Default 0.5. */
  readonly failureRate: number;
  /** Calls that must have been made in the window before that counts. Default 10. */
  readonly callsMin: number;
  readonly windowMs: number;
  /** How long it stays open; twice as long after each probe that failed, up to `openMsMax`. */
  readonly openMs: number;
  readonly openMsMax: number;
}

/** `probe`: this call alone tries; its outcome must be reported, whatever it is. */
export type BreakerAnswer = "go" | "probe" | { readonly openUntilMs: number; readonly waitMs: number };

/** `neutral`: says nothing of the target's health: a limit, a bad request, a cancel. It gives a probe back. */
export type BreakerOutcome = "succeeded" | "failed" | "neutral";

export interface Breakers {
  /** No statement while the circuit is closed. */
  ask(target: Target): Promise<BreakerAnswer>;
  report(target: Target, outcome: BreakerOutcome): void;
  close(): Promise<void>;
}

export declare function openBreakers(options: { readonly db: Database; readonly rules?: Partial<BreakerRules> }): Breakers;
