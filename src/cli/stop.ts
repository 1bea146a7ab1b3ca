// Ctrl-C and SIGTERM: the first one asks, the second one ends the process.
import { constants } from "node:os";
import { isDrainRequest } from "./supervision.ts";

export interface Stop {
  /** Aborts at the first request to stop. */
  readonly signal: AbortSignal;
  /** What asked: a signal, or null for another reason or none yet. */
  readonly by: NodeJS.Signals | null;
  /** True when another process of ours started this one and answers for it. */
  readonly isSupervised: boolean;
  /** Asks to stop for a reason other than a signal. */
  request(): void;
  /** Called when the process is about to end without waiting. */
  onHardStop(callback: () => void): void;
  /** From now on a signal does what it does by default. */
  release(): void;
}

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
/** One Ctrl-C often comes twice: from the terminal to the whole process group, and from npm, which passes it on. */
const SAME_REQUEST_MS = 300;

/**
 * Begins to listen. Under a supervisor Ctrl-C is the supervisor's affair, although the terminal sends it to both: this
 * process stops when asked over the channel, on SIGTERM, and when the supervisor is gone.
 */
export function listenForStop(isSupervised: boolean): Stop {
  const controller = new AbortController();
  const callbacks: (() => void)[] = [];
  let by: NodeJS.Signals | null = null;
  let askedAt = 0;
  const request = (): void => controller.abort();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (isSupervised && signal === "SIGINT") return;
    if (controller.signal.aborted) {
      if (performance.now() - askedAt < SAME_REQUEST_MS) return;
      for (const callback of callbacks) callback();
      process.exit(128 + constants.signals[signal]);
    }
    by = signal;
    askedAt = performance.now();
    controller.abort();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  if (isSupervised) {
    process.on("message", (message) => {
      if (isDrainRequest(message)) request();
    });
    process.once("disconnect", request);
  }
  return {
    signal: controller.signal,
    isSupervised,
    get by() {
      return by;
    },
    request,
    onHardStop: (callback) => {
      callbacks.push(callback);
    },
    release: () => {
      for (const signal of SIGNALS) process.off(signal, onSignal);
      if (isSupervised && process.connected) process.disconnect();
    },
  };
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
