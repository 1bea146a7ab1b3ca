// The verbs on what runs and model calls have cost: reports, and the ledger of finished runs.
import type { ConcentrationReport, CostGroup, CostReport } from "../domain/costs.ts";
import type { DurationInput } from "../domain/duration.ts";

export interface CostPeriod {
  /** A moment, or how far back from now: `"7d"`. Default: 7 days. */
  readonly since?: Date | DurationInput | undefined;
  /** Default: now. */
  readonly until?: Date | undefined;
  /** Lines, or runs. Default 100, at most 1,000. */
  readonly limit?: number | undefined;
}

export interface CostOptions extends CostPeriod {
  /** Default: model. */
  readonly by?: CostGroup | undefined;
}

/** What one finished run is charged. There is one of it for each that made calls or spent something, exactly once. */
export interface ChargeView {
  readonly runId: string;
  readonly rootId: string;
  readonly tenant: string;
  readonly agent: string;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly usd: number;
  /** Whole billionths of a US dollar, as text: exact. */
  readonly nanoUsd: string;
  readonly steps: number;
  /** Attempts at models, failed ones and those that cost nothing included. */
  readonly calls: number;
  readonly finishedAt: string;
  /** When somebody took note of it; null: not yet. */
  readonly deliveredAt: string | null;
}

export interface ListCharges {
  /** Runs that ended at this moment or later, or so far back from now. Default: all. */
  readonly since?: Date | DurationInput | undefined;
  readonly until?: Date | undefined;
  /** Only those that nobody has taken note of. */
  readonly pending?: boolean | undefined;
  /** In the order in which their runs ended. Default 100, at most 1,000. */
  readonly limit?: number | undefined;
  /** The last run of the page before. */
  readonly after?: string | undefined;
}

export interface ChargePage {
  readonly charges: readonly ChargeView[];
  /** Give it as `after` for the next page; null at the end. */
  readonly next: string | null;
}

/** Of all tenants: for whoever runs the installation. */
export interface Billing {
  costs(options?: CostOptions): Promise<CostReport>;
  concentration(options?: CostPeriod): Promise<ConcentrationReport>;
  charges(filter?: ListCharges): Promise<ChargePage>;
  /** Takes note of charges: they are pending no more. Answers those that nobody had taken note of before. */
  ack(runIds: readonly string[]): Promise<string[]>;
}
