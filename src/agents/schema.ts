// Inputs against any Standard Schema (https://standardschema.dev): Zod, Valibot, ArkType and others.
import { fail } from "../domain/errors.ts";
import type { AnyAgent } from "./ctx.ts";

export interface InputIssue {
  /** Where, as in `$.items[2].name`. */
  readonly path: string;
  readonly message: string;
}

/**
 * The input as the agent's code gets it, with the schema's defaults and transforms.
 *
 * @throws INPUT_INVALID with all issues in `details`.
 */
export async function validInput(agent: AnyAgent, input: unknown): Promise<unknown> {
  if (agent.schema === null) return input;
  const result = await agent.schema["~standard"].validate(input);
  if (result.issues === undefined) return result.value;
  const issues: InputIssue[] = result.issues.map((issue) => ({ path: pathOf(issue.path), message: issue.message }));
  const [first] = issues;
  const problem =
    first === undefined
      ? "the schema refuses it"
      : `${first.path}: ${first.message}${issues.length > 1 ? ` (and ${issues.length - 1} more)` : ""}`;
  throw fail("INPUT_INVALID", { agent: agent.name, problem }, { details: { issues } });
}

/** `$.items[2].name` */
export function pathOf(path: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined): string {
  const parts = (path ?? []).map((part) => (typeof part === "object" ? part.key : part));
  return parts.reduce<string>(
    (text, part) => (typeof part === "number" ? `${text}[${part}]` : `${text}.${String(part)}`),
    "$",
  );
}
