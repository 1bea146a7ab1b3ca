// Tells what an object is, as far as the value encoding cares, and says in words why it cannot be recorded.

export const typedArrays = {
  BigInt64Array,
  BigUint64Array,
  Float32Array,
  Float64Array,
  Int8Array,
  Int16Array,
  Int32Array,
  Uint8Array,
  Uint8ClampedArray,
  Uint16Array,
  Uint32Array,
} as const;

export type TypedArrayName = keyof typeof typedArrays;

const typedArrayTag = Object.getOwnPropertyDescriptor(
  Object.getPrototypeOf(Uint8Array.prototype),
  Symbol.toStringTag,
)?.get;

/** The name of a typed array by what it is inside: a Buffer is a Uint8Array, an object that pretends is nothing. */
export function typedArrayName(value: object): TypedArrayName | undefined {
  const name: unknown = typedArrayTag?.call(value);
  return typeof name === "string" && Object.hasOwn(typedArrays, name) ? (name as TypedArrayName) : undefined;
}

/** An object literal, also one without prototype or from another realm (a `vm` context, as test runners use them). */
export function isPlainPrototype(prototype: object | null): boolean {
  if (prototype === Object.prototype || prototype === null) return true;
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

/** The prototype of ordinary arrays, of this realm or another; not that of a class that extends Array. */
export function isArrayPrototype(prototype: object | null): boolean {
  if (prototype === Array.prototype) return true;
  if (prototype === null || !Object.hasOwn(prototype, "copyWithin")) return false;
  return isPlainPrototype(Object.getPrototypeOf(prototype));
}

export function isError(value: object): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
}

/** True when an array carries enumerable properties beside its elements, as the result of `"a".match(/a/)` does. */
export function hasNamedProperty(array: readonly unknown[]): boolean {
  const last = Object.keys(array).at(-1); // elements are listed first
  return last !== undefined && String(Number(last) >>> 0) !== last;
}

export function hasEnumerableSymbol(value: object): boolean {
  const symbols = Object.getOwnPropertySymbols(value);
  return symbols.length > 0 && symbols.some((symbol) => Object.prototype.propertyIsEnumerable.call(value, symbol));
}

/** Why a value is refused, as the end of "the value at … cannot be recorded: ", and what to do instead. */
export interface Refusal {
  readonly reason: string;
  readonly advice: string;
}

export const EXTRA_PROPERTIES: Refusal = {
  reason: "it has named properties beside its contents",
  advice: "copy what matters into a plain object",
};

export const SYMBOL_KEYS: Refusal = {
  reason: "it has a property whose key is a symbol",
  advice: "copy the properties that matter into a plain object",
};

/** What to say about a function, a symbol, or an object of a class that has no encoding. */
export function refusalOf(value: unknown): Refusal {
  if (typeof value === "function") {
    return {
      reason: "it is a function",
      advice: "record the data that it works on, and keep the function in the code",
    };
  }
  if (typeof value === "symbol") return { reason: "it is a symbol", advice: "use a string" };
  const object = value as { readonly then?: unknown; readonly toJSON?: unknown };
  const reason = `it is an instance of ${classNameOf(object)}`;
  if (typeof object.then === "function") return { reason: "it is a promise", advice: "await it first" };
  if (typeof object.toJSON === "function") return { reason, advice: "call its toJSON() and record what that gives" };
  return { reason, advice: "copy the properties that matter into a plain object" };
}

function classNameOf(value: object): string {
  const name: unknown = value.constructor?.name;
  return typeof name === "string" && name !== "" && name !== "Object" ? name.slice(0, 100) : "a class";
}
