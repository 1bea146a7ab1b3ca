// What a claim is: a sentence with a bar, measured against a baseline in the same run.
import type { Lab } from "./lab.ts";

export interface Measure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** What the same machine does in the same run without Longhaul, or with somebody else's. */
  readonly baseline?: { readonly what: string; readonly value: number };
  /** The bar holds for `value`, or for value ÷ baseline (`ratio`). */
  readonly bar?: { readonly of: "value" | "ratio"; readonly at: "most" | "least"; readonly limit: number };
  /** How it was counted, or why it is as it is. */
  readonly note?: string;
}

export interface Claim {
  readonly name: string;
  /** What is claimed, in one sentence. */
  readonly sentence: string;
  /** Too long for every day: measured only when it is named. */
  readonly onRequest?: true;
  readonly measure: (lab: Lab) => Promise<Measure[]>;
}

/** Value divided by its baseline; null where there is none. */
export function ratioOf({ value, baseline }: Measure): number | null {
  return baseline === undefined || baseline.value === 0 ? null : value / baseline.value;
}

/** Whether the bar holds; null where there is none. */
export function holds(measure: Measure): boolean | null {
  const { bar } = measure;
  if (bar === undefined) return null;
  const value = bar.of === "value" ? measure.value : ratioOf(measure);
  if (value === null) return null;
  return bar.at === "most" ? value <= bar.limit : value >= bar.limit;
}
