// How any decoded value leaves as JSON text: what JSON has no word for becomes the nearest plain thing, never an exception.

interface JsonOptions {
  /** Stacks of failures are for operators, not for whoever may read a run. Default true: they stay. */
  readonly stacks?: boolean;
}

/**
 * JSON text of any value an agent may return. Date becomes ISO 8601, bigint a string, Map an object (or pairs, when a key is not a
 * string), Set an array, bytes base64, Error `{ name, message, … }`, RegExp and URL their text; what is undefined is left out, or
 * null where something must stand. Lone surrogates come out escaped, so the text is always valid UTF-8.
 */
export function jsonText(value: unknown, { stacks = true }: JsonOptions = {}): string {
  const text = JSON.stringify(value, function (this: unknown, key: string, simplified: unknown) {
    if (!stacks && key === "stack" && looksLikeFailure(this)) return undefined;
    return plain((this as Record<string, unknown>)[key], simplified);
  });
  return text ?? "null";
}

/** The same as a value: plain objects, arrays, strings, finite numbers, booleans and null only. */
export function toJson(value: unknown, options: JsonOptions = {}): unknown {
  return JSON.parse(jsonText(value, options));
}

/** `simplified` is what toJSON has already made of the value (Date and URL give their text, an invalid Date null). */
function plain(value: unknown, simplified: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return simplified;
  if (value instanceof Map) return plainMap(value);
  if (value instanceof Set) return [...value];
  if (value instanceof Uint8Array) return base64(value);
  if (value instanceof Error) return plainError(value);
  if (value instanceof RegExp) return String(value);
  return simplified;
}

function plainMap(map: Map<unknown, unknown>): unknown {
  const entries = [...map];
  return entries.every(([key]) => typeof key === "string") ? Object.fromEntries(entries) : entries;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

function plainError(error: Error): unknown {
  const { name, message, cause } = error;
  const code = "code" in error ? error.code : undefined;
  const errors = error instanceof AggregateError ? error.errors : undefined;
  return { name, message, code, cause, errors };
}

function looksLikeFailure(holder: unknown): boolean {
  return typeof holder === "object" && holder !== null && "name" in holder && "message" in holder;
}
