// Checks of single values of the gateway's configuration: each says where, what is wrong and what would be right.
import { type DurationInput, durationMs } from "../domain/duration.ts";
import { fail, isLonghaulError } from "../domain/errors.ts";
import { nearest } from "../domain/nearest.ts";

/** Names the place of a path for people: `gateway.models.smart in longhaul.config.ts`. */
export type Place = (path: string) => string;

/** Values up to here are exact in a `number`, in SQL's `float8` and in their products with milliseconds. */
const COUNT_MAX = 1_000_000_000_000;

export class ConfigCheck {
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  invalid(path: string, problem: string, fix: string): Error {
    return fail("CONFIG_INVALID", { place: this.#place(path), problem, fix });
  }

  /** An object with no other keys than these; null lets any key be. Undefined is an empty one. */
  object(path: string, value: unknown, known: readonly string[] | null, example: string): Record<string, unknown> {
    if (value === undefined) return {};
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.invalid(path, `${shown(value)} is not an object`, `Make it one: ${example}.`);
    }
    for (const key of Object.keys(value)) {
      if (known === null || known.includes(key)) continue;
      const meant = nearest(key, known);
      const fix = meant === undefined ? `Known are: ${known.join(", ")}.` : `Did you mean ${meant}?`;
      throw this.invalid(`${path}.${key.slice(0, 100)}`, "there is no such setting", fix);
    }
    return value as Record<string, unknown>;
  }

  /** Entries of a table by name, whose order is the file's. */
  table(path: string, value: unknown, example: string): [name: string, value: unknown][] {
    return Object.entries(this.object(path, value, null, example)).filter(([, entry]) => entry !== undefined);
  }

  /** A whole number from `min`; null where nothing is said. */
  count(path: string, value: unknown, min = 1, max = COUNT_MAX): number | null {
    if (value === undefined) return null;
    if (Number.isInteger(value) && Number(value) >= min && Number(value) <= max) return Number(value);
    const fix = `Make it a whole number from ${min} to ${max.toLocaleString("en")}, or leave it out.`;
    throw this.invalid(path, `${shown(value)} cannot be used`, fix);
  }

  text(path: string, value: unknown, example: string): string | null {
    if (value === undefined) return null;
    if (typeof value === "string" && value.trim() !== "" && !/\p{Cc}/u.test(value)) return value.trim();
    throw this.invalid(
      path,
      `${shown(value)} is not a text`,
      `Make it one, as ${JSON.stringify(example)}, or leave it out.`,
    );
  }

  /** A key: printable, on one line, and never shown when it is not. */
  secret(path: string, value: unknown): string | null {
    if (value === undefined) return null;
    if (typeof value === "string" && isSendable(value.trim())) return value.trim();
    throw this.invalid(
      path,
      "it is not a text of one line that a header can carry",
      "Copy the key anew, or leave it out.",
    );
  }

  yesOrNo(path: string, value: unknown): boolean | null {
    if (value === undefined || typeof value === "boolean") return value ?? null;
    throw this.invalid(path, `${shown(value)} is neither true nor false`, "Make it true or false, or leave it out.");
  }

  choice<Choice extends string>(path: string, value: unknown, choices: readonly Choice[]): Choice | null {
    if (value === undefined) return null;
    const chosen = choices.find((choice) => choice === value);
    if (chosen !== undefined) return chosen;
    const meant = typeof value === "string" ? nearest(value, choices) : undefined;
    const fix = meant === undefined ? `Make it one of ${choices.join(", ")}.` : `Did you mean ${meant}?`;
    throw this.invalid(path, `${shown(value)} is not one of them`, fix);
  }

  /** Milliseconds, at least `minMs`. */
  duration(path: string, value: unknown, minMs: number): number | null {
    if (value === undefined) return null;
    const fix = 'Write it as "30s" or "10 minutes", or as a number of milliseconds.';
    const ms = this.#durationMs(path, value, fix);
    if (ms >= minMs) return ms;
    throw this.invalid(path, `${shown(value)} is shorter than ${minMs} ms`, fix);
  }

  #durationMs(path: string, value: unknown, fix: string): number {
    try {
      return durationMs(value as DurationInput);
    } catch (error) {
      if (!isLonghaulError(error, "DURATION_INVALID")) throw error;
      throw this.invalid(path, `${shown(value)} is not a duration`, fix);
    }
  }

  url(path: string, value: unknown): string | null {
    const written = this.text(path, value, "https://api.example.com/v1");
    if (written === null) return null;
    if (/^https?:\/\/[^/?#]/i.test(written) && URL.canParse(written)) return written.replace(/\/+$/, "");
    const fix = 'Write it with its scheme and without a query, as "https://api.example.com/v1".';
    throw this.invalid(path, `${shown(value)} is not a web address`, fix);
  }
}

/** True for what an HTTP header can carry as a key. */
export function isSendable(key: string): boolean {
  return /^[\x21-\x7e]+$/.test(key);
}

export function shown(value: unknown): string {
  if (typeof value === "function") return "a function";
  const text = typeof value === "number" || typeof value === "bigint" ? String(value) : safeJson(value);
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

function safeJson(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return `a ${typeof value}`;
  }
}
