// Watches over one attempt: gives it up when it takes too long as a whole, or when nothing has come for too long.
import { AttemptTimeout } from "./timeout.ts";

export interface WatchdogLimits {
  /** For the whole attempt, in milliseconds. */
  readonly timeoutMs: number;
  /** Until the first sign of life, in milliseconds; null where none comes before the whole reply. */
  readonly openMs: number | null;
  /** Between two signs of life, in milliseconds. */
  readonly idleMs: number;
}

/**
 * Runs `work` and rejects as soon as the outer signal fires or a limit is reached, whether or not `work` listens to its signal:
 * a provider that hangs must not hold the call.
 */
export async function watched<T>(
  limits: WatchdogLimits,
  outer: AbortSignal,
  work: (abort: AbortSignal, alive: () => void) => Promise<T>,
): Promise<T> {
  outer.throwIfAborted();
  const inner = new AbortController();
  let rejectEarly: (reason: unknown) => void = () => undefined;
  const early = new Promise<never>((_, reject) => {
    rejectEarly = reject;
  });
  const giveUp = (reason: unknown): void => {
    inner.abort(reason);
    rejectEarly(reason);
  };
  const onOuter = (): void => giveUp(outer.reason);
  outer.addEventListener("abort", onOuter, { once: true });
  const total = setTimeout(() => giveUp(new AttemptTimeout("attempt", limits.timeoutMs)), limits.timeoutMs);
  // Told often, asked seldom: a part only writes down when it came, and one timer looks.
  let lastMs = performance.now();
  let opened = false;
  let idle: NodeJS.Timeout | undefined;
  const look = (): void => {
    const allowedMs = opened ? limits.idleMs : limits.openMs;
    if (allowedMs === null) return;
    const silentMs = performance.now() - lastMs;
    if (silentMs >= allowedMs) giveUp(new AttemptTimeout("idle", allowedMs));
    else idle = setTimeout(look, Math.max(1, allowedMs - silentMs));
  };
  look();
  const alive = (): void => {
    lastMs = performance.now();
    if (opened) return;
    opened = true;
    clearTimeout(idle);
    look();
  };
  try {
    return await Promise.race([work(inner.signal, alive), early]);
  } finally {
    clearTimeout(total);
    clearTimeout(idle);
    outer.removeEventListener("abort", onOuter);
  }
}
