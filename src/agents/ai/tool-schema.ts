// The shape of a tool's arguments, however it is written: Zod or any Standard Schema, an AI SDK schema, or plain JSON Schema (MCP).
import type { JSONSchema7 } from "@ai-sdk/provider";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { lazily } from "../../domain/lazy.ts";
import { pathOf } from "../schema.ts";

export type Checked =
  | { readonly value: unknown }
  /** What does not fit and where, for the model to read. */
  | { readonly problem: string };

export interface ToolSchema {
  check(args: unknown): Promise<Checked>;
  /** For the model. */
  json(): Promise<JSONSchema7>;
  /** Whether the AI SDK checks arguments against it by itself, before it calls the tool. */
  readonly checkedBySdk: boolean;
}

const AI_SCHEMA = Symbol.for("vercel.ai.schema");
const ISSUES_TOLD = 10;
const zod = lazily(() => import("zod"));

interface AiSchema {
  readonly jsonSchema: JSONSchema7 | PromiseLike<JSONSchema7>;
  readonly validate?: (value: unknown) => unknown;
}

/** Throws nothing: a schema that is none accepts everything, and is an empty object to the model. */
export function toolSchema(given: unknown): ToolSchema {
  const schema = typeof given === "function" ? (given as () => unknown)() : given;
  if (typeof schema !== "object" || schema === null) return anything;
  if ("~standard" in schema) return standard(schema as StandardSchemaV1);
  if (AI_SCHEMA in schema) return aiSchema(schema as unknown as AiSchema);
  return jsonSchema(() => schema as JSONSchema7);
}

const NO_ARGUMENTS: JSONSchema7 = { type: "object", properties: {}, additionalProperties: false };

const anything: ToolSchema = {
  check: async (value) => ({ value }),
  json: async () => NO_ARGUMENTS,
  checkedBySdk: true,
};

function standard(schema: StandardSchemaV1): ToolSchema {
  return {
    check: async (args) => {
      const result = await schema["~standard"].validate(args);
      return result.issues === undefined ? { value: result.value } : { problem: told(result.issues) };
    },
    json: () => jsonOf(schema),
    checkedBySdk: true,
  };
}

async function jsonOf(schema: StandardSchemaV1): Promise<JSONSchema7> {
  const { jsonSchema: written } = schema["~standard"] as { jsonSchema?: { input(options: object): unknown } };
  try {
    if (written !== undefined) return written.input({ target: "draft-07" }) as JSONSchema7;
  } catch {
    // A date, for one, has no JSON Schema; what follows lets it be anything.
  }
  const { toJSONSchema } = await zod();
  return toJSONSchema(schema as never, { target: "draft-7", io: "input", unrepresentable: "any" }) as JSONSchema7;
}

function aiSchema(schema: AiSchema): ToolSchema {
  const { validate } = schema;
  if (validate === undefined) return jsonSchema(async () => schema.jsonSchema);
  return {
    check: async (args) => {
      const result = (await validate(args)) as { success: boolean; value?: unknown; error?: unknown };
      return result.success ? { value: result.value } : { problem: problemOf(result.error) };
    },
    json: async () => schema.jsonSchema,
    checkedBySdk: true,
  };
}

/** Arguments are checked and passed on as they are: the schema's defaults are advice to the model. */
function jsonSchema(get: () => JSONSchema7 | PromiseLike<JSONSchema7>): ToolSchema {
  let check: Promise<((args: unknown) => string | null) | null> | undefined;
  return {
    check: async (args) => {
      check ??= Promise.resolve(get()).then(checkerOf);
      const problem = (await check)?.(args) ?? null;
      return problem === null ? { value: args } : { problem };
    },
    json: async () => get(),
    checkedBySdk: false,
  };
}

/** Null for a schema that says what cannot be checked here, as `if` and remote references: the tool sees for itself. */
async function checkerOf(schema: JSONSchema7): Promise<((args: unknown) => string | null) | null> {
  const { fromJSONSchema } = await zod();
  const { $schema: _, ...undated } = schema;
  for (const form of [undated, schema]) {
    try {
      const checker = fromJSONSchema(form as never);
      return (args) => {
        const result = checker.safeParse(args);
        return result.success ? null : told(result.error.issues);
      };
    } catch {
      // The other form may do.
    }
  }
  return null;
}

function problemOf(error: unknown): string {
  const cause = (error as { cause?: unknown } | undefined)?.cause ?? error;
  const issues = (cause as { issues?: unknown } | undefined)?.issues;
  if (Array.isArray(issues)) return told(issues as StandardSchemaV1.Issue[]);
  return error instanceof Error ? error.message : String(error);
}

function told(issues: readonly StandardSchemaV1.Issue[]): string {
  const lines = issues.slice(0, ISSUES_TOLD).map(({ path, message }) => `${pathOf(path)}: ${message}`);
  const more = issues.length > ISSUES_TOLD ? [`and ${issues.length - ISSUES_TOLD} more`] : [];
  return [...lines, ...more].join("; ");
}
