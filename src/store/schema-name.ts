// The name of the schema: which names are allowed, and how `longhaul.` in a statement becomes the configured one.
import { fail } from "../domain/errors.ts";

const SCHEMA_NAME = /^[a-z_][a-z0-9_]{0,47}$/;
/** Statements are constants; a program that builds texts without end must not fill the memory with their rewrites. */
const CACHED_TEXTS_MAX = 2_000;

/** Returns the name if it can be a schema of Longhaul. Throws SCHEMA_NAME_INVALID. */
export function checkSchemaName(schema: string): string {
  if (!SCHEMA_NAME.test(schema) || schema.startsWith("pg_")) throw fail("SCHEMA_NAME_INVALID", { schema });
  return schema;
}

/** A function that replaces the prefix `longhaul.` by the quoted schema, remembering what it has rewritten. */
export function schemaRewriter(schema: string): (text: string) => string {
  if (schema === "longhaul") return (text) => text;
  const rewritten = new Map<string, string>();
  return (text) => {
    const known = rewritten.get(text);
    if (known !== undefined) return known;
    const result = text.replace(/\blonghaul\./g, `"${schema}".`);
    if (rewritten.size >= CACHED_TEXTS_MAX) rewritten.clear();
    rewritten.set(text, result);
    return result;
  };
}
