// A request that a model of another make cannot be given: refused like a provider refuses it, with the parameter's name.
import { APICallError } from "@ai-sdk/provider";
import type * as z from "zod";
import type { Target } from "../roles.ts";

export interface OpenAiError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

/** `problem` completes the sentence "messages[2].audio …". */
export function refusal(target: Target, param: string, problem: string, code = "unsupported_parameter"): APICallError {
  const model = `${target.provider}/${target.model}`;
  const error: OpenAiError = {
    message: `${param} ${problem} (this request is translated for ${model}; a model behind an OpenAI-compatible address gets it as it is).`,
    type: "invalid_request_error",
    param,
    code,
  };
  return new APICallError({
    message: error.message,
    url: `longhaul:${model}`,
    requestBodyValues: null,
    statusCode: 400,
    responseBody: JSON.stringify({ error }),
    isRetryable: false,
  });
}

/** @throws what `refusal` makes, for the first thing that does not fit */
export function translatable<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  target: Target,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue === undefined) throw refusal(target, "the body", "does not fit", "invalid_value");
  const path = pathText(issue.path);
  if (issue.code === "unrecognized_keys") throw refusal(target, join(path, issue.keys[0] ?? ""), "cannot be expressed");
  // What is only understood with certain values is understood, but not so.
  const code = issue.code === "invalid_value" ? "unsupported_value" : "invalid_value";
  throw refusal(target, path === "" ? "the body" : path, `does not fit: ${issue.message}`, code);
}

/** `messages[2].content`. */
function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : join(text, String(key))),
    "",
  );
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
