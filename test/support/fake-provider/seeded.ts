// Chance that can be repeated: everything the fake provider makes up is a function of a seed and of what it was asked.

/** A number in [0, 2^32) that depends on every character. */
export function hash32(text: string, seed = 0): number {
  let h = (0x811c9dc5 ^ seed) >>> 0;
  for (let at = 0; at < text.length; at += 1) h = Math.imul(h ^ text.charCodeAt(at), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A number in [0, 1). */
export function fraction(text: string, seed = 0): number {
  return hash32(text, seed) / 2 ** 32;
}

export function pick<T>(from: readonly T[], text: string, seed = 0): T {
  const picked = from[hash32(text, seed) % from.length];
  if (picked === undefined) throw new Error("nothing to pick from");
  return picked;
}
