// An amount of tokens, money and steps as the database has it: one composite value.
import type { NanoUsd, Spend } from "../domain/usage.ts";

/** What a budget limits; null: not limited. */
export interface Limits {
  readonly input: number | null;
  readonly output: number | null;
  readonly nanoUsd: NanoUsd | null;
  readonly steps: number | null;
}

/** More than anybody can mean, and little enough for sums of it: one wrong figure must not make a statement fail. */
const AMOUNT_MAX = 1_000_000_000_000_000;

/** As a parameter for `$n::longhaul.spend`. */
export function spendValue({ inputTokens, outputTokens, nanoUsd, steps }: Spend): string {
  return `(${whole(inputTokens)},${whole(outputTokens)},${wholeNano(nanoUsd)},${whole(steps)})`;
}

/** What `spend::text` says. */
export function readSpend(text: string): Spend {
  const { input, output, nanoUsd, steps } = readLimits(text);
  return { inputTokens: input ?? 0, outputTokens: output ?? 0, nanoUsd: nanoUsd ?? 0n, steps: steps ?? 0 };
}

export function readLimits(text: string): Limits {
  const [input = "", output = "", nanoUsd = "", steps = ""] = text.slice(1, -1).split(",");
  const number = (part: string): number | null => (part === "" ? null : Number(part));
  return {
    input: number(input),
    output: number(output),
    nanoUsd: nanoUsd === "" ? null : BigInt(nanoUsd),
    steps: number(steps),
  };
}

/** A count as it is stored: whole, and neither negative nor beyond all measure. */
export function whole(amount: number): number {
  return Number.isFinite(amount) ? Math.min(Math.max(Math.ceil(amount), 0), AMOUNT_MAX) : 0;
}

export function wholeNano(amount: NanoUsd): string {
  const max = BigInt(AMOUNT_MAX);
  return String(amount < 0n ? 0n : amount > max ? max : amount);
}
