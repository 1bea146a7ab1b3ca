// A client that reads slowly is no model that hangs.
import type { Attempt } from "../roles.ts";

const SIGN_EVERY_MS = 1_000;

/** Waits for the client, and tells the watchdog meanwhile that all is well with the model. */
export async function patient(waiting: Promise<void> | undefined, attempt: Attempt): Promise<void> {
  if (waiting === undefined) return;
  const signs = setInterval(() => attempt.alive(), SIGN_EVERY_MS);
  try {
    await waiting;
  } finally {
    clearInterval(signs);
    attempt.alive();
  }
}
