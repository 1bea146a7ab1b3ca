// What routes take out of a request: who sends it, its checked ids, its bounded JSON body, its checked query.
import type { Context } from "hono";
import type * as z from "zod";
import { fail } from "../domain/errors.ts";
import type { Longhaul, Tenant } from "../runtime/api.ts";
import { findJsonFault, nestsDeeper } from "./json-scan.ts";
import type { ServerEnv, ServerLimits } from "./options.ts";

export type Ctx = Context<ServerEnv>;

/** The verbs for whoever sends this request: the only way by which a route reaches data. */
export function tenantOf(c: Ctx, longhaul: Longhaul): Tenant {
  return longhaul.tenant(c.var.caller.tenant);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** A UUID from the path, in lower case. @throws REQUEST_INVALID */
export function idParam(c: Ctx, name: string): string {
  const id = c.req.param(name) ?? "";
  if (!isUuid(id)) throw invalid([{ path: name, message: "expected a UUID" }]);
  return id.toLowerCase();
}

export interface Issue {
  readonly path: string;
  readonly message: string;
}

export function invalid(issues: readonly Issue[]) {
  const shown = issues.slice(0, 3).map(({ path, message }) => `${path === "" ? "the body" : path}: ${message}`);
  const more = issues.length > shown.length ? ` (and ${issues.length - shown.length} more)` : "";
  return fail("REQUEST_INVALID", { problem: `${shown.join("; ")}${more}` }, { details: { issues } });
}

/** @throws REQUEST_INVALID naming every path that is wrong. */
export function check<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalid(result.error.issues.map(({ path, message }) => ({ path: path.map(String).join("."), message })));
}

/** The query, each key once (the last wins), or as an array for the keys in `lists`, which also take JSON arrays. */
export function checkQuery<Schema extends z.ZodType>(
  c: Ctx,
  schema: Schema,
  lists: readonly string[] = [],
): z.output<Schema> {
  const given = Object.entries(c.req.queries()).map(([key, values]) => [
    key,
    lists.includes(key) ? values.flatMap(listed) : values.at(-1),
  ]);
  return check(schema, Object.fromEntries(given));
}

function listed(value: string): string[] {
  if (!value.startsWith("[")) return value.split(",");
  try {
    const items: unknown = JSON.parse(value);
    return Array.isArray(items) ? items.map(String) : [value];
  } catch {
    return [value];
  }
}

/**
 * The body as JSON, whatever its Content-Type says (pages send `text/plain` to spare themselves a preflight). An empty body is `{}`.
 *
 * @throws BODY_TOO_LARGE before more than the limit is held; BODY_TOO_DEEP, BODY_INVALID, BODY_ENCODED
 */
export async function readJson(c: Ctx, limits: BodyLimits): Promise<unknown> {
  return (await readJsonText(c, limits)).value;
}

type BodyLimits = Pick<ServerLimits, "bodyBytesMax" | "bodyDepthMax">;

/** The same, and the text that it was. */
export async function readJsonText(c: Ctx, limits: BodyLimits): Promise<{ text: string; value: unknown }> {
  const encoding = c.req.header("content-encoding") ?? "identity";
  if (encoding !== "identity") throw fail("BODY_ENCODED", { encoding });
  const text = decode(await readBytes(c, limits.bodyBytesMax));
  if (text.trim() === "") return { text: "{}", value: {} };
  if (nestsDeeper(text, limits.bodyDepthMax)) throw fail("BODY_TOO_DEEP", { limit: limits.bodyDepthMax });
  try {
    return { text, value: JSON.parse(text) };
  } catch {
    const fault = findJsonFault(text);
    throw fail("BODY_INVALID", { problem: fault.problem, line: fault.line, column: fault.column }, { details: fault });
  }
}

export async function checkBody<Schema extends z.ZodType>(
  c: Ctx,
  limits: ServerLimits,
  schema: Schema,
): Promise<z.output<Schema>> {
  return check(schema, await readJson(c, limits));
}

/** Read to the end of the limit and no further. */
async function readBytes(c: Ctx, bytesMax: number): Promise<Uint8Array> {
  const announced = c.req.header("content-length");
  if (Number(announced ?? 0) > bytesMax) throw tooLarge(c, bytesMax);
  // Node holds a body to the length that it announces, and is quicker without a stream between.
  if (announced !== undefined && c.env?.incoming !== undefined) return new Uint8Array(await c.req.raw.arrayBuffer());
  const chunks: Uint8Array[] = [];
  let length = 0;
  const body = c.req.raw.body;
  if (body === null) return new Uint8Array();
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks, length);
    length += value.byteLength;
    if (length > bytesMax) {
      await reader.cancel().catch(() => undefined);
      throw tooLarge(c, bytesMax);
    }
    chunks.push(value);
  }
}

function tooLarge(c: Ctx, bytesMax: number) {
  // The rest of the body is still coming: this connection is of no further use.
  c.header("connection", "close");
  return fail("BODY_TOO_LARGE", { limit: bytesMax });
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw fail("BODY_INVALID", { problem: "expected UTF-8, found other bytes", line: 1, column: 1 });
  }
}
