// Generators for what a program may hand to the runtime, and what the encoding is expected to make of it.
import fc from "fast-check";

/** Any JavaScript string, NUL and lone surrogates included. */
export const anyString: fc.Arbitrary<string> = fc.string({
  unit: fc.nat(0xffff).map((unit) => String.fromCharCode(unit)),
});

/** Keys that have meant trouble somewhere, among ordinary ones. */
export const anyKey: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    "$",
    "v",
    "__proto__",
    "constructor",
    "prototype",
    "toString",
    "hasOwnProperty",
    "length",
    "0",
    "-1",
    "",
  ),
  anyString,
  fc.string(),
);

const anyTypedArray = fc.oneof(
  fc.int8Array(),
  fc.uint8Array(),
  fc.uint8ClampedArray(),
  fc.int16Array(),
  fc.uint16Array(),
  fc.int32Array(),
  fc.uint32Array(),
  fc.float32Array(),
  fc.float64Array(),
  fc.bigInt64Array(),
  fc.bigUint64Array(),
);

const anyLeaf: fc.Arbitrary<unknown> = fc.oneof(
  anyString,
  fc.double(),
  fc.integer(),
  fc.bigInt(),
  fc.boolean(),
  fc.constantFrom(
    null,
    undefined,
    -0,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    Number.MIN_VALUE,
  ),
  fc.date({ noInvalidDate: false }),
  anyTypedArray,
  fc.constantFrom(/a(?<b>.)\/"\n/dgu, /[$]/y, /(?:)/),
  fc.webUrl().map((text) => new URL(text)),
);

/** Values that are recorded and come back, to any depth: everything the encoding supports but errors. */
export const anySupported: fc.Arbitrary<unknown> = fc.oneof(
  fc.anything({
    key: anyKey,
    values: [anyLeaf],
    maxDepth: 5,
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withObjectString: true,
    withSet: true,
    withSparseArray: true,
    withTypedArray: true,
  }),
  fc.dictionary(anyKey, fc.anything({ key: anyKey, values: [anyLeaf], withMap: true, withSet: true })),
);

/** The same value with what the encoding levels out: null prototypes, holes of arrays, views into larger buffers. */
export function levelled(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return Array.from(value, levelled);
  if (value instanceof Map) return new Map([...value].map(([key, inner]) => [levelled(key), levelled(inner)]));
  if (value instanceof Set) return new Set([...value].map(levelled));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const plain = {};
  for (const [key, inner] of Object.entries(value)) {
    Object.defineProperty(plain, key, { value: levelled(inner), enumerable: true, writable: true, configurable: true });
  }
  return plain;
}

/** Equal in kind and content, bit by bit and in order, for everything the encoding supports but errors. */
export function same(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || a === null || typeof b !== "object" || b === null) return Object.is(a, b);
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
  if (a instanceof RegExp) return String(a) === String(b) && a.lastIndex === (b as RegExp).lastIndex;
  if (a instanceof URL) return a.href === (b as URL).href;
  if (a instanceof Map || a instanceof Set) return same([...a], [...(b as Map<unknown, unknown>)]);
  const keys = Reflect.ownKeys(a);
  const otherKeys = Reflect.ownKeys(b);
  if (keys.length !== otherKeys.length) return false;
  return keys.every((key, index) => key === otherKeys[index] && same(Reflect.get(a, key), Reflect.get(b, key)));
}
