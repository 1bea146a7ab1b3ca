// What makes two calls identical: one text for equal requests, whatever the order of their keys.
import { createHash } from "node:crypto";
import { VALUE_DEPTH_MAX } from "../domain/limits.ts";

/**
 * JSON with sorted keys. What JSON has no word for is tagged, so that it differs from every text that looks like it: bytes, dates,
 * addresses, bigints, NaN, maps and sets. Functions, symbols and undefined are left out, as in JSON.
 *
 * Null for a value that has no such text: it refers to itself, is too deep, or a getter of it throws. Such a call is never shared.
 */
export function canonicalJson(value: unknown): string | null {
  try {
    return write(value, []) ?? "null";
  } catch {
    return null;
  }
}

/** A short name for a long text, for maps and indexes. */
export function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** Undefined for what JSON leaves out. */
function write(value: unknown, above: readonly object[]): string | undefined {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      return Number.isFinite(value) ? JSON.stringify(value) : tagged("number", JSON.stringify(String(value)));
    case "boolean":
      return String(value);
    case "bigint":
      return tagged("bigint", `"${value}"`);
    case "object":
      return value === null ? "null" : writeObject(value, above);
    default:
      return undefined;
  }
}

function writeObject(value: object, above: readonly object[]): string | undefined {
  if (above.includes(value)) throw new Error("it refers to itself");
  if (above.length >= VALUE_DEPTH_MAX) throw new Error("it is too deep");
  const within = [...above, value];
  if (Array.isArray(value)) return list(value, within);
  if (value instanceof Date) return tagged("date", JSON.stringify(Number(value)));
  if (value instanceof URL) return tagged("url", JSON.stringify(value.href));
  if (value instanceof RegExp) return tagged("regexp", JSON.stringify(String(value)));
  const bytes = bytesOf(value);
  if (bytes !== null) return tagged("bytes", `"${bytes.toString("base64")}"`);
  if (value instanceof Map)
    return tagged(
      "map",
      list(
        [...value].map(([key, entry]) => [key, entry]),
        within,
      ),
    );
  if (value instanceof Set) return tagged("set", list([...value], within));
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === "function") return write(Reflect.apply(toJSON, value, [""]), within);
  return entries(value as Record<string, unknown>, within);
}

function list(values: readonly unknown[], above: readonly object[]): string {
  return `[${Array.from(values, (value) => write(value, above) ?? "null").join(",")}]`;
}

/** A key that begins with `$` gets one more, so that no object looks like a tag. */
function entries(value: Record<string, unknown>, above: readonly object[]): string {
  const written: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const entry = write(value[key], above);
    if (entry !== undefined) written.push(`${JSON.stringify(key.startsWith("$") ? `$${key}` : key)}:${entry}`);
  }
  return `{${written.join(",")}}`;
}

function tagged(tag: string, text: string): string {
  return `{"$${tag}":${text}}`;
}

/** The bytes of a buffer or of any view on one: two views are equal when their bytes are. */
function bytesOf(value: object): Buffer | null {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return value instanceof ArrayBuffer || value instanceof SharedArrayBuffer ? Buffer.from(value) : null;
}
