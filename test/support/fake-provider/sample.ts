// A value that fits a JSON Schema (or Gemini's OpenAPI dialect of one): what the fake model answers when it is asked for an object.
import type { Wire } from "./conversation.ts";
import { fraction, pick } from "./seeded.ts";

const DEEPEST = 6;
const FORMATS: Readonly<Record<string, string>> = {
  "date-time": "2026-01-02T03:04:05.000Z",
  date: "2026-01-02",
  time: "03:04:05Z",
  email: "fake@example.com",
  uri: "https://example.com/fake",
  url: "https://example.com/fake",
  uuid: "00000000-0000-4000-8000-000000000000",
  ipv4: "192.0.2.1",
  hostname: "example.com",
};

/** `seed` chooses among enum values and numbers, so that two calls differ. */
export function sample(schema: Wire, seed: string, root: Wire = schema, name = "value", depth = 0): unknown {
  if (schema === null || typeof schema !== "object") return `fake ${name}`;
  if (typeof schema.$ref === "string")
    return depth > DEEPEST ? null : sample(pointed(root, schema.$ref), seed, root, name, depth + 1);
  if ("const" in schema) return schema.const;
  if (Array.isArray(schema.enum) && schema.enum.length > 0) return pick(schema.enum, `${seed}/${name}`);
  if (Array.isArray(schema.allOf)) return sample(merged(schema), seed, root, name, depth);
  const choices = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choices) && choices.length > 0) {
    const simple = depth > DEEPEST ? choices.find((choice: Wire) => typeOf(choice) !== "object") : undefined;
    return sample(simple ?? choices[0], seed, root, name, depth + 1);
  }
  switch (typeOf(schema)) {
    case "object":
      return sampleObject(schema, seed, root, name, depth);
    case "array":
      return sampleArray(schema, seed, root, name, depth);
    case "integer":
      return Math.round(sampleNumber(schema, `${seed}/${name}`));
    case "number":
      return sampleNumber(schema, `${seed}/${name}`);
    case "boolean":
      return true;
    case "null":
      return null;
    default:
      return sampleString(schema, name);
  }
}

function typeOf(schema: Wire): string {
  const type = Array.isArray(schema?.type) ? schema.type.find((one: string) => one !== "null") : schema?.type;
  if (typeof type === "string") return type.toLowerCase();
  return schema?.properties !== undefined ? "object" : schema?.items !== undefined ? "array" : "string";
}

function sampleObject(schema: Wire, seed: string, root: Wire, name: string, depth: number): Record<string, unknown> {
  const required = new Set<string>(schema.required ?? []);
  const value: Record<string, unknown> = {};
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    if (required.has(key) || depth < DEEPEST) value[key] = sample(property, seed, root, key, depth + 1);
  }
  const others = schema.additionalProperties;
  if (schema.properties === undefined && others !== null && typeof others === "object" && depth < DEEPEST) {
    value["fake"] = sample(others, seed, root, name, depth + 1);
  }
  return value;
}

function sampleArray(schema: Wire, seed: string, root: Wire, name: string, depth: number): unknown[] {
  const count =
    depth > DEEPEST ? (schema.minItems ?? 0) : Math.max(schema.minItems ?? 1, Math.min(1, schema.maxItems ?? 1));
  return Array.from({ length: count }, (_, at) => {
    const item = Array.isArray(schema.prefixItems) ? schema.prefixItems[at] : schema.items;
    return sample(item ?? {}, `${seed}/${at}`, root, name, depth + 1);
  });
}

function sampleNumber(schema: Wire, seed: string): number {
  const whole = typeOf(schema) === "integer";
  const step = schema.multipleOf ?? 1;
  const least = schema.minimum ?? (schema.exclusiveMinimum !== undefined ? schema.exclusiveMinimum + step : 1);
  const most = schema.maximum ?? (schema.exclusiveMaximum !== undefined ? schema.exclusiveMaximum - step : least + 99);
  // Zod says of every integer that it is a safe one; nobody wants to read those.
  const low = Math.abs(least) >= 2 ** 53 - 2 ? 1 : least;
  const high = Math.min(most, low + 99);
  const value = low + Math.floor(fraction(seed) * (Math.max(0, high - low) + 1)) * (whole ? 1 : step);
  return Math.max(low, Math.min(high, schema.multipleOf ? Math.ceil(value / step) * step : value));
}

function sampleString(schema: Wire, name: string): string {
  const known = FORMATS[schema.format as string];
  if (known !== undefined) return known;
  const text = `fake ${name}`.padEnd(schema.minLength ?? 0, ".");
  return schema.maxLength === undefined ? text : text.slice(0, schema.maxLength);
}

function pointed(root: Wire, reference: string): Wire {
  if (!reference.startsWith("#")) return {};
  return reference
    .slice(1)
    .split("/")
    .filter((part) => part !== "")
    .reduce((at, part) => at?.[decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~")], root);
}

/** `allOf` as one object schema: enough for what schema libraries write. */
function merged({ allOf, ...rest }: Wire): Wire {
  const all = [rest, ...allOf];
  return {
    ...Object.assign({}, ...all),
    properties: Object.assign({}, ...all.map((one: Wire) => one.properties ?? {})),
    required: all.flatMap((one: Wire) => one.required ?? []),
  };
}
