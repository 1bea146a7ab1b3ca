// A short stable fingerprint of a text, to notice that a step's input changed between two executions. Not cryptographic.

const LANE_A_SEED = 0x9e3779b9;
const LANE_B_SEED = 0x7f4a7c15;
const MULTIPLIER_A = 0xcc9e2d51;
const MULTIPLIER_B = 0x85ebca77;
const SPREAD_A = 0x1b873593;
const SPREAD_B = 0xc2b2ae3d;

/**
 * 64 bits of a text's UTF-16 units as 16 lower-case hexadecimal digits. The result is stored: it never changes between
 * versions. Equal texts give equal hashes; different texts differ except with a chance of about 2^-64.
 */
export function hashInput(encoded: string): string {
  let a = LANE_A_SEED ^ encoded.length;
  let b = (LANE_B_SEED + encoded.length) | 0;
  for (let index = 0; index < encoded.length; index += 2) {
    // Two units make one 32-bit word; the missing half of an odd tail is NaN, which counts as 0 (the length tells them apart).
    const word = encoded.charCodeAt(index) | (encoded.charCodeAt(index + 1) << 16);
    a = (Math.imul(rotate(a ^ Math.imul(word, MULTIPLIER_A), 13), SPREAD_A) + b) | 0;
    b = Math.imul(rotate(b ^ Math.imul(word, MULTIPLIER_B), 17), SPREAD_B) ^ a;
  }
  a = avalanche(a ^ rotate(b, 16));
  b = avalanche(b + a);
  return hex(a) + hex(b);
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** Lets every bit of the input change each bit of the output with even chance. */
function avalanche(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x7feb352d);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x846ca68b);
  return mixed ^ (mixed >>> 16);
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
