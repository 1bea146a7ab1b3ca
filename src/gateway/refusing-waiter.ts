// Waits for whoever is no run and cannot sleep as a row: a short wait in place, a long one is refused.
import { formatDuration } from "../domain/duration.ts";
import { fail } from "../domain/errors.ts";
import type { Waiter } from "./roles.ts";

/** `clock`: the one by which the gateway says until when. */
export function refusingWaiter(clock: { now(): number }, holdMs: number): Waiter {
  return {
    holdMs,
    postpone: async (untilMs, reason) => {
      const waitMs = Math.max(0, Math.ceil(untilMs - clock.now()));
      const wait = formatDuration(Math.max(1_000, Math.ceil(waitMs / 1_000) * 1_000));
      throw fail("QUOTA_WAIT", { wait, reason }, { details: { readyAtMs: untilMs, waitMs, reason } });
    },
  };
}
