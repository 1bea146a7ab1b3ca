// A mistake in the command line that only the command itself can see, and values that only it can judge.
import { fail, type LonghaulError } from "../domain/errors.ts";

/** COMMAND_INVALID: exit code 2. `problem` without, `fix` with a full stop. */
export function mistake(problem: string, fix: string): LonghaulError {
  return fail("COMMAND_INVALID", { problem, fix });
}

/** The value of a flag that takes a JSON object. @throws COMMAND_INVALID */
export function jsonObject(flag: string, value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw mistake(`${flag} is not an object`, `Write it like this: ${flag} '{"customer":"42"}'.`);
}
