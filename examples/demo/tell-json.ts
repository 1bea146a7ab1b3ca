// The tale as JSON: one object per line, each with the milliseconds since the start.
import type { Tale, Teller } from "./tale.ts";

/** What is only there to move on a screen is told this often at most. */
const PROGRESS_MS = 1_000;

export function jsonTeller(stream: Pick<NodeJS.WriteStream, "write">): Teller {
  const startedMs = performance.now();
  let progressMs = Number.NEGATIVE_INFINITY;
  return {
    tell: (tale: Tale) => {
      const nowMs = performance.now();
      if (tale.event === "progress") {
        if (nowMs - progressMs < PROGRESS_MS && tale.finished < tale.runs) return;
        progressMs = nowMs;
      }
      stream.write(`${JSON.stringify({ elapsedMs: Math.round(nowMs - startedMs), ...tale })}\n`);
    },
    end: () => undefined,
  };
}
