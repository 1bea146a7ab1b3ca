// Ids from outside: UUIDs, in lower case.
import { validate } from "uuid";
import { fail } from "../domain/errors.ts";

/** @throws ID_INVALID */
export function checkUuid(what: string, value: string): string {
  if (typeof value !== "string" || !validate(value))
    throw fail("ID_INVALID", { what, value: String(value).slice(0, 100) });
  return value.toLowerCase();
}

export function isUuid(value: string): boolean {
  return validate(value);
}
