// Which texts may name things: keys are inert data and may be almost anything, names of agents and steps are read by people.
import { fail } from "./errors.ts";
import { AGENT_NAME_CHARS_MAX, KEY_BYTES_MAX, STEP_NAME_CHARS_MAX } from "./limits.ts";
import { fitsUtf8, hasLoneSurrogate } from "./text.ts";

/** What a key belongs to, as an error names it. */
export type KeyKind =
  | "tenant"
  | "queue"
  | "build"
  | "thread key"
  | "idempotency key"
  | "concurrency key"
  | "effect key"
  | "signal name"
  | "approval name"
  | "event name"
  | "plan";

/**
 * The key itself, if it can be one: any text of 1 to 512 bytes in UTF-8. No character has a meaning, so `*`, `:`, `../` and
 * `__proto__` are keys like all others; only NUL and lone surrogates are refused, which PostgreSQL cannot hold.
 * @throws KEY_INVALID with the reason.
 */
export function checkKey(kind: KeyKind, value: unknown): string {
  if (typeof value !== "string") throw invalid(kind, "it is not a string");
  const reason = textFault(value) ?? (fitsUtf8(value, KEY_BYTES_MAX) ? undefined : TOO_MANY_BYTES);
  if (reason !== undefined) throw invalid(kind, reason);
  return value;
}

interface NameRule {
  readonly maxChars: number;
  readonly pattern: RegExp;
  readonly fault: string;
}

/** An agent's name becomes part of URLs and commands; a step's is only shown. */
const NAME_RULES: Readonly<Record<"agent" | "step", NameRule>> = {
  agent: {
    maxChars: AGENT_NAME_CHARS_MAX,
    pattern: /^[\p{L}\p{N}][\p{L}\p{M}\p{N}._-]*$/u,
    fault: "it is not a letter or digit followed by letters, digits, dots, hyphens or underscores",
  },
  step: {
    maxChars: STEP_NAME_CHARS_MAX,
    pattern: /^\P{Cc}+$/u,
    fault: "it contains a control character",
  },
};

/**
 * The name itself, if an agent can have it (1 to 100 letters, digits, dots, hyphens and underscores, a letter or digit first)
 * or a step (1 to 200 characters, no control characters).
 * @throws KEY_INVALID with the reason.
 */
export function checkName(kind: "agent" | "step", value: unknown): string {
  if (typeof value !== "string") throw invalid(`${kind} name`, "it is not a string");
  const { maxChars, pattern, fault } = NAME_RULES[kind];
  const reason = textFault(value) ?? lengthFault(value, maxChars) ?? (pattern.test(value) ? undefined : fault);
  if (reason !== undefined) throw invalid(`${kind} name`, reason);
  return value;
}

const TOO_MANY_BYTES = `it has more than ${KEY_BYTES_MAX} bytes in UTF-8`;

function textFault(text: string): string | undefined {
  if (text === "") return "it is empty";
  if (text.includes("\u0000")) return "it contains the character NUL";
  return hasLoneSurrogate(text) ? "it contains half of a surrogate pair" : undefined;
}

function lengthFault(text: string, maxChars: number): string | undefined {
  const fits = text.length <= maxChars || (text.length <= 2 * maxChars && [...text].length <= maxChars);
  return fits ? undefined : `it has more than ${maxChars} characters`;
}

function invalid(kind: string, reason: string): Error {
  return fail("KEY_INVALID", { kind, reason });
}
