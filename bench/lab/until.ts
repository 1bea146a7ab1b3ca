// Waiting for something to become true.

const LOOK_EVERY_MS = 5;

/** @throws when it has not become true in time. */
export async function until(what: string, patienceMs: number, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + patienceMs;
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) throw new Error(`${what}: not in ${patienceMs / 1_000} s`);
    await pause(LOOK_EVERY_MS);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
