// Turns the text of value-encode.ts back into the value. A closed table says what a tag may become, and nothing that is
// stored chooses what is constructed: there are no class names, and keys such as `__proto__` are data.
import { fromBase64 } from "./base64.ts";
import { bareError, isErrorClass } from "./error-classes.ts";
import { fail, isLonghaulError, type LonghaulError } from "./errors.ts";
import { VALUE_DEPTH_HARD_MAX } from "./limits.ts";
import { typedArrays } from "./value-kinds.ts";

/** Encoding one level of a value takes at most two levels of JSON; a few more are for texts composed of encoded ones. */
const JSON_DEPTH_MAX = 2 * VALUE_DEPTH_HARD_MAX + 10;

type JsonObject = Record<string, unknown>;

/**
 * The value that `encodeValue` was given. Text without a tag costs one JSON.parse.
 * @throws VALUE_UNREADABLE for text that `encodeValue` does not write.
 */
export function decodeValue(text: string): unknown {
  try {
    const json: unknown = JSON.parse(text);
    return mayHaveTags(text) ? revive(json, 0) : json;
  } catch (error) {
    if (isLonghaulError(error, "VALUE_UNREADABLE")) throw error;
    throw fail("VALUE_UNREADABLE", { reason: "it is not the JSON of an encoded value" }, { cause: error });
  }
}

/** The search for one character is several times faster than that for three, and mostly enough. */
function mayHaveTags(text: string): boolean {
  return text.includes("$") && text.includes('"$"');
}

function revive(json: unknown, depth: number): unknown {
  if (typeof json !== "object" || json === null) return json;
  if (depth > JSON_DEPTH_MAX) throw unreadable("it is nested too deeply");
  if (Array.isArray(json)) return reviveElements(json, depth);
  if (Object.hasOwn(json, "$")) return reviveTagged(json as JsonObject, depth);
  return reviveProperties(json as JsonObject, depth);
}

function reviveElements(array: unknown[], depth: number): unknown[] {
  for (let index = 0; index < array.length; index++) array[index] = revive(array[index], depth + 1);
  return array;
}

/** Sets only own properties that JSON.parse has made: an own `__proto__` stays one. */
function reviveProperties(object: JsonObject, depth: number): JsonObject {
  for (const key of Object.keys(object)) object[key] = revive(object[key], depth + 1);
  return object;
}

function reviveTagged(json: JsonObject, depth: number): unknown {
  const { $: tag, v } = json;
  if (typeof tag !== "string") throw unreadable('the "$" of an object is not a tag');
  const reviver = revivers.get(tag);
  if (reviver === undefined) throw unreadable(`its tag ${JSON.stringify(tag.slice(0, 50))} is unknown`);
  return reviver(v, depth + 1);
}

type Reviver = (v: unknown, depth: number) => unknown;

const NUMBERS: ReadonlyMap<unknown, number> = new Map([
  ["-0", -0],
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

const revivers: ReadonlyMap<string, Reviver> = new Map<string, Reviver>([
  ["undefined", () => undefined],
  ["Number", (v) => NUMBERS.get(v) ?? refuse("Number")],
  ["BigInt", (v) => BigInt(textOf(v, "BigInt"))],
  ["Date", reviveDate],
  ["Map", (v, depth) => new Map(listOf(v, "Map").map((pair) => revivePair(pair, depth)))],
  ["Set", (v, depth) => new Set(reviveElements(listOf(v, "Set"), depth))],
  ["RegExp", revivePattern],
  ["URL", (v) => new URL(textOf(v, "URL"))],
  ["Error", reviveError],
  ["Object", (v, depth) => reviveProperties(objectOf(v, "Object"), depth)],
  ...Object.entries(typedArrays).map(([name, TypedArray]): [string, Reviver] => [
    name,
    (v) => new TypedArray((fromBase64(textOf(v, name)) ?? refuse(name)).buffer),
  ]),
]);

function reviveDate(v: unknown): Date {
  if (v === null) return new Date(Number.NaN);
  const date = new Date(textOf(v, "Date"));
  return Number.isNaN(date.getTime()) ? refuse("Date") : date;
}

function revivePair(pair: unknown, depth: number): [unknown, unknown] {
  const [key, value] = reviveElements(listOf(pair, "Map"), depth + 1);
  return [key, value];
}

function revivePattern(v: unknown): RegExp {
  const [source, flags, lastIndex = 0] = listOf(v, "RegExp");
  const pattern = new RegExp(textOf(source, "RegExp"), textOf(flags, "RegExp"));
  pattern.lastIndex = Number(lastIndex);
  return pattern;
}

function reviveError(v: unknown, depth: number): Error {
  const json = objectOf(v, "Error");
  const props = Object.hasOwn(json, "props") ? reviveProperties(objectOf(json.props, "Error"), depth + 1) : {};
  const { type = "Error", props: _, ...fields } = json;
  if (!isErrorClass(type)) return refuse("Error");
  const { name, message, code, ...hidden } = reviveProperties(fields, depth);
  const error = bareError(type, typeof message === "string" ? message : "");
  if (typeof message !== "string") define(error, "message", message, false);
  if (error.name !== name) define(error, "name", name, false);
  if (Object.hasOwn(fields, "code")) define(error, "code", code, true);
  for (const [field, value] of Object.entries(hidden)) define(error, field, value, false);
  for (const [key, value] of Object.entries(props)) define(error, key, value, true);
  return error;
}

function define(target: object, key: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(target, key, { value, enumerable, writable: true, configurable: true });
}

function textOf(v: unknown, tag: string): string {
  return typeof v === "string" ? v : refuse(tag);
}

function listOf(v: unknown, tag: string): unknown[] {
  return Array.isArray(v) ? v : refuse(tag);
}

function objectOf(v: unknown, tag: string): JsonObject {
  return typeof v === "object" && v !== null && !Array.isArray(v) ? (v as JsonObject) : refuse(tag);
}

function refuse(tag: string): never {
  throw unreadable(`what follows its tag ${tag} is malformed`);
}

function unreadable(reason: string): LonghaulError {
  return fail("VALUE_UNREADABLE", { reason });
}
