// Numbers inside sentences: as many digits as anybody wants to read.

/** `0.02`, `3.4`, `38`, `1,200`, `1.2 million`. */
export function amount(value: number): string {
  if (value >= 1e9) return `${short(value / 1e9)} billion`;
  if (value >= 1e6) return `${short(value / 1e6)} million`;
  if (value >= 100) return Math.round(Number(value.toPrecision(3))).toLocaleString("en-US");
  return short(value);
}

function short(value: number): string {
  return Number(value.toPrecision(2)).toLocaleString("en-US", { maximumFractionDigits: 6 });
}
