// Turns a value into JSON text from which value-decode.ts makes the same value, or refuses it and names the place.
//
// The value is first copied into plain JSON, reading every property once: a getter or a proxy cannot answer the check one way
// and the writing another. JSON.stringify then writes the copy. For plain data the copy costs a fraction of the writing.
import { base64Length, toBase64 } from "./base64.ts";
import { errorClassOf } from "./error-classes.ts";
import { fail, type LonghaulError } from "./errors.ts";
import { toFailure } from "./failure.ts";
import { VALUE_BYTES_HARD_MAX, VALUE_BYTES_MAX, VALUE_DEPTH_HARD_MAX, VALUE_DEPTH_MAX } from "./limits.ts";
import { fitsUtf8 } from "./text.ts";
import * as kinds from "./value-kinds.ts";
import { type Path, pathText } from "./value-path.ts";

export interface EncodeOptions {
  /** Containers inside containers. Default 100, at most 500. */
  readonly maxDepth?: number;
  /** UTF-8 bytes of the encoded text. Default 16 MiB, at most 128 MiB. */
  readonly maxBytes?: number;
}

type Json = null | boolean | number | string | Json[] | JsonObject;
type JsonObject = { [key: string]: Json };

interface Walk {
  readonly maxDepth: number;
  readonly maxBytes: number;
  /** Way to the value at hand; only the first `depth` segments count. */
  readonly path: Path;
  depth: number;
  /** The containers around the value at hand, by depth. */
  readonly within: (object | undefined)[];
  /** What is left of `maxBytes`, by a lower bound of the text's length: ends the walk through huge or tangled values. */
  room: number;
  refusal: LonghaulError | undefined;
}

/**
 * Encodes a value as JSON text that any PostgreSQL text column takes; `decodeValue` gives the same value back.
 * See value.ts for what it looks like.
 * @throws VALUE_NOT_SERIALIZABLE for functions, symbols, instances of classes, promises, cycles and throwing getters,
 * VALUE_TOO_DEEP and VALUE_TOO_LARGE beyond the limits. Nothing else, whatever the value is.
 */
export function encodeValue(value: unknown, options: EncodeOptions = {}): string {
  const maxBytes = Math.min(options.maxBytes ?? VALUE_BYTES_MAX, VALUE_BYTES_HARD_MAX);
  const maxDepth = Math.min(options.maxDepth ?? VALUE_DEPTH_MAX, VALUE_DEPTH_HARD_MAX);
  const walk: Walk = { maxDepth, maxBytes, path: [], depth: 0, within: [], room: maxBytes, refusal: undefined };
  const text = JSON.stringify(copy(value, walk));
  if (!fitsUtf8(text, maxBytes)) throw tooLarge(maxBytes);
  return text;
}

function copy(value: unknown, walk: Walk): Json {
  try {
    return toJson(value, 0, walk);
  } catch (thrown) {
    if (walk.refusal !== undefined && thrown === walk.refusal) throw thrown;
    const reason = `reading it threw "${toFailure(thrown).message.slice(0, 200)}"`;
    const advice = "copy the properties that matter into a plain object";
    throw fail("VALUE_NOT_SERIALIZABLE", { path: pathText(walk.path, walk.depth), reason, advice }, { cause: thrown });
  }
}

function toJson(value: unknown, depth: number, walk: Walk): Json {
  switch (typeof value) {
    case "string":
      spend(walk, value.length + 2);
      return value;
    case "number":
      spend(walk, 1);
      if (Number.isFinite(value) && !Object.is(value, -0)) return value;
      return tagged("Number", Object.is(value, -0) ? "-0" : String(value));
    case "boolean":
      spend(walk, 4);
      return value;
    case "object":
      if (value !== null) return objectToJson(value, depth, walk);
      spend(walk, 4);
      return value;
    case "undefined":
      spend(walk, 17);
      return { $: "undefined" };
    case "bigint": {
      const digits = value.toString();
      spend(walk, digits.length);
      return tagged("BigInt", digits);
    }
    case "function":
    case "symbol":
      return refuse(walk, kinds.refusalOf(value));
  }
}

function objectToJson(value: object, depth: number, walk: Walk): Json {
  enter(value, depth, walk);
  const prototype: object | null = Object.getPrototypeOf(value);
  if (Array.isArray(value)) {
    if (!kinds.isArrayPrototype(prototype)) return refuse(walk, kinds.refusalOf(value));
    if (kinds.hasNamedProperty(value)) return refuse(walk, kinds.EXTRA_PROPERTIES);
    return elementsToJson(value, depth, walk);
  }
  if (prototype === null || kinds.isPlainPrototype(prototype)) return plainToJson(value, depth, walk);
  const builtInToJson = builtIns.get(prototype);
  if (builtInToJson !== undefined) {
    if (Object.keys(value).length > 0) return refuse(walk, kinds.EXTRA_PROPERTIES);
    return builtInToJson(value, depth, walk);
  }
  const typedArray = kinds.typedArrayName(value);
  if (typedArray !== undefined) return bytesToJson(typedArray, value as Uint8Array, walk);
  if (kinds.isError(value)) return errorToJson(value, depth, walk);
  return refuse(walk, kinds.refusalOf(value));
}

function plainToJson(value: object, depth: number, walk: Walk): Json {
  if (kinds.hasEnumerableSymbol(value)) return refuse(walk, kinds.SYMBOL_KEYS);
  const keys = Object.keys(value);
  const json = propertiesToJson(value, keys, depth, walk);
  return keys.includes("$") ? tagged("Object", json) : json;
}

function propertiesToJson(value: object, keys: readonly string[], depth: number, walk: Walk): JsonObject {
  const json: JsonObject = {};
  for (const key of keys) {
    spend(walk, key.length + 3);
    look(walk, depth, key);
    const child = toJson((value as Record<string, unknown>)[key], depth + 1, walk);
    if (key === "__proto__") Object.defineProperty(json, key, { value: child, enumerable: true });
    else json[key] = child;
  }
  return json;
}

function elementsToJson(elements: readonly unknown[], depth: number, walk: Walk): Json[] {
  const json: Json[] = [];
  for (let index = 0; index < elements.length; index++) {
    look(walk, depth, index);
    json.push(toJson(elements[index], depth + 1, walk));
  }
  return json;
}

type ToJson = (value: object, depth: number, walk: Walk) => Json;

/** By exact prototype: an instance of a subclass would come back as something else, so it is refused. */
const builtIns: ReadonlyMap<object, ToJson> = new Map<object, ToJson>([
  [Date.prototype, (value) => tagged("Date", isoText(value as Date))],
  [Map.prototype, (value, depth, walk) => tagged("Map", entriesToJson(value as Map<unknown, unknown>, depth, walk))],
  [Set.prototype, (value, depth, walk) => tagged("Set", elementsToJson([...(value as Set<unknown>)], depth, walk))],
  [RegExp.prototype, (value, _depth, walk) => tagged("RegExp", patternToJson(value as RegExp, walk))],
  [URL.prototype, (value, _depth, walk) => tagged("URL", hrefOf(value as URL, walk))],
]);

function isoText(date: Date): string | null {
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function entriesToJson(map: ReadonlyMap<unknown, unknown>, depth: number, walk: Walk): Json[] {
  const json: Json[] = [];
  for (const pair of map) {
    look(walk, depth, json.length);
    walk.within[depth + 1] = undefined;
    json.push(elementsToJson(pair, depth + 1, walk));
  }
  return json;
}

function patternToJson(pattern: RegExp, walk: Walk): Json[] {
  spend(walk, pattern.source.length);
  const json: Json[] = [pattern.source, pattern.flags];
  if (pattern.lastIndex !== 0) json.push(pattern.lastIndex);
  return json;
}

function hrefOf(url: URL, walk: Walk): string {
  const href = url.href;
  spend(walk, href.length);
  if (new URL(href).href === href) return href;
  return refuse(walk, { reason: "its address does not survive being written down", advice: "record its parts" });
}

function bytesToJson(name: kinds.TypedArrayName, array: Uint8Array, walk: Walk): Json {
  spend(walk, base64Length(array.byteLength));
  return tagged(name, toBase64(new Uint8Array(array.buffer, array.byteOffset, array.byteLength)));
}

/** Fields of an error that are encoded for what they mean; everything else that it carries goes into `props`. */
const ERROR_FIELDS: readonly string[] = ["name", "message", "stack", "code", "cause"];

function errorToJson(error: Error, depth: number, walk: Walk): Json {
  const type = errorClassOf(error);
  const aggregate = type === "AggregateError";
  const known = aggregate ? [...ERROR_FIELDS, "errors"] : ERROR_FIELDS;
  look(walk, depth, "stack");
  const absent = typeof error.stack === "string" ? [] : ["stack"];
  const present = known.filter((field) => field in error && !absent.includes(field));
  const others = Object.keys(error).filter((key) => !known.includes(key));
  const json = propertiesToJson(error, present, depth, walk);
  if (type !== "Error") json.type = type;
  if (others.length > 0) json.props = propertiesToJson(error, others, depth, walk);
  return tagged("Error", json);
}

/** Sets the path to the part that is about to be read, so that whatever goes wrong from here on names it. */
function look(walk: Walk, depth: number, segment: string | number): void {
  walk.path[depth] = segment;
  walk.depth = depth + 1;
}

function enter(container: object, depth: number, walk: Walk): void {
  for (let outer = 0; outer < depth; outer++) {
    if (walk.within[outer] !== container) continue;
    const reason = `it is also ${pathText(walk.path, outer)}, which contains it`;
    refuse(walk, { reason, advice: "refer to the outer object by an id" });
  }
  if (depth >= walk.maxDepth) {
    throw stop(walk, fail("VALUE_TOO_DEEP", { path: pathText(walk.path, walk.depth), maxDepth: walk.maxDepth }));
  }
  walk.within[depth] = container;
  spend(walk, 2);
}

function spend(walk: Walk, chars: number): void {
  walk.room -= chars;
  if (walk.room < 0) throw stop(walk, tooLarge(walk.maxBytes));
}

function refuse(walk: Walk, { reason, advice }: kinds.Refusal): never {
  throw stop(walk, fail("VALUE_NOT_SERIALIZABLE", { path: pathText(walk.path, walk.depth), reason, advice }));
}

/** Remembers our own error, so that it is told apart from what the value's getters throw. */
function stop(walk: Walk, refusal: LonghaulError): LonghaulError {
  walk.refusal = refusal;
  return refusal;
}

function tooLarge(maxBytes: number): LonghaulError {
  return fail("VALUE_TOO_LARGE", { maxBytes });
}

function tagged(tag: string, v: Json): JsonObject {
  return { $: tag, v };
}
