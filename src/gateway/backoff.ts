// How long to wait before a provider is asked again: full jitter (AWS Architecture Blog, "Exponential Backoff and Jitter", 2015).

const FIRST_MS = 250;
const LONGEST_MS = 8_000;
/** For a full limit whose end the provider does not tell. */
const LIMIT_FIRST_MS = 1_000;
const LIMIT_LONGEST_MS = 60_000;

/** After the `failures`-th failure in a row. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  return random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
}

/** After the `failures`-th refusal in a row by a limit: at least half of it, because the window has to pass. */
export function limitBackoffMs(failures: number, random: () => number = Math.random): number {
  const most = Math.min(LIMIT_LONGEST_MS, LIMIT_FIRST_MS * 2 ** (failures - 1));
  return most / 2 + (random() * most) / 2;
}
