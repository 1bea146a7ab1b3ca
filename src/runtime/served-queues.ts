// Which queues a worker serves, and how many of its slots each may fill.
import { fail } from "../domain/errors.ts";
import { checkKey } from "../domain/key.ts";
import { WORKER_SLOTS_MAX } from "../domain/limits.ts";

/**
 * Reads `name` or `name:slots`, where a name may contain colons as long as what follows the last one is no number.
 * @throws CONFIG_INVALID, KEY_INVALID
 */
export function servedQueues(given: readonly string[]): Map<string, number | null> {
  const served = new Map<string, number | null>();
  for (const text of given) {
    const [, name = text, slots] = /^(.+):(\d+)$/s.exec(text) ?? [];
    served.set(checkKey("queue", name), slots === undefined ? (served.get(name) ?? null) : checkSlots(text, slots));
  }
  return served;
}

function checkSlots(text: string, slots: string): number {
  const count = Number(slots);
  if (count >= 1 && count <= WORKER_SLOTS_MAX) return count;
  throw fail("CONFIG_INVALID", {
    place: `queue ${text.slice(0, 200)}`,
    problem: `${slots} is not a number of slots`,
    fix: `Write a number from 1 to ${WORKER_SLOTS_MAX} behind the colon.`,
  });
}
