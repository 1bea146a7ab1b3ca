// Ids of runs: UUIDv7, so that they sort by time, and every child after its parent (the lock order rests on that).
import { createHash } from "node:crypto";
import { v7 } from "uuid";

export function newId(): string {
  return v7();
}

/** An id greater than the parent's, also when the parent was made on a machine whose clock is ahead. */
export function childId(parentId: string): string {
  const id = v7();
  if (id > parentId) return id;
  return v7({ msecs: Number.parseInt(parentId.replace(/-/g, "").slice(0, 12), 16) + 1 });
}

/** Always the same id for the same words, with this moment as its time: whoever tries something again asks for the same run. */
export function derivedId(atMs: number, words: readonly string[]): string {
  const hash = createHash("sha256").update(JSON.stringify(words)).digest();
  return v7({ msecs: atMs, seq: hash.readUInt32BE(28), random: hash.subarray(0, 16) });
}
