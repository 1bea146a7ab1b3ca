// Notices a model that calls the same tool with the same arguments again and again. Pure: the same calls give the same verdict.
import { fail, type LonghaulError } from "../domain/errors.ts";
import { canonicalJson, digest } from "./identity.ts";

export interface LoopLimits {
  /** The same call so often in a row is a loop. Default 5. */
  readonly inARow: number;
  /** The same call so often in all, others between them, is one too: two tools in turn. Default 30. */
  readonly inAll: number;
  /** Tools that may be called alike for ever: those that look whether something has happened. */
  readonly except: ReadonlySet<string>;
}

/** What people write; false: nothing is a loop. */
export type LoopGuardOption =
  | false
  | {
      readonly inARow?: number | undefined;
      readonly inAll?: number | undefined;
      /** Names of tools. */
      readonly except?: readonly string[] | undefined;
    };

/**
 * Five in a row: a model that gets the same answer to the same question three times does not ask for a fourth reason, and one or
 * two retries of a flaky tool are sound. Thirty in all lets a long run read the same file now and then.
 */
const DEFAULT: LoopLimits = { inARow: 5, inAll: 30, except: new Set() };
const LIMIT_MAX = 1_000_000;

/** The limits that an option means, or null where nothing is watched; a string says what is wrong with it. */
export function loopLimits(option: unknown): LoopLimits | null | string {
  if (option === false) return null;
  if (option === undefined) return DEFAULT;
  if (typeof option !== "object" || option === null || Array.isArray(option))
    return "it is neither false nor an object";
  const { inARow = DEFAULT.inARow, inAll = DEFAULT.inAll, except = [], ...others } = option as Record<string, unknown>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    return `there is no setting ${JSON.stringify(unknown)}; known are inARow, inAll and except`;
  for (const [name, value] of Object.entries({ inARow, inAll })) {
    const fits = Number.isInteger(value) && Number(value) >= 2 && Number(value) <= LIMIT_MAX;
    if (!fits) return `${name} is not a whole number from 2 to ${LIMIT_MAX.toLocaleString("en")}`;
  }
  const areNames = Array.isArray(except) && except.every((name) => typeof name === "string");
  if (!areNames) return "except is not a list of names of tools";
  return { inARow: Number(inARow), inAll: Number(inAll), except: new Set(except) };
}

export interface Loop {
  readonly tool: string;
  readonly count: number;
  readonly how: "in a row" | "in all";
}

/** Watches the tool calls of one run, or of one agent loop, in the order in which the model makes them. */
export class LoopWatch {
  readonly #limits: LoopLimits;
  readonly #counts = new Map<string, number>();
  #last = "";
  #row = 0;

  constructor(limits: LoopLimits = DEFAULT) {
    this.#limits = limits;
  }

  /** Notes a call, before it is made. `args`: as parsed, or the text where that does not parse. Answers the loop that it closes. */
  note(tool: string, args: unknown): Loop | null {
    if (this.#limits.except.has(tool)) return null;
    const call = signature(tool, args);
    if (call === null) return null;
    this.#row = call === this.#last ? this.#row + 1 : 1;
    this.#last = call;
    const count = (this.#counts.get(call) ?? 0) + 1;
    this.#counts.set(call, count);
    if (this.#row >= this.#limits.inARow) return { tool, count: this.#row, how: "in a row" };
    return count >= this.#limits.inAll ? { tool, count, how: "in all" } : null;
  }
}

/** Arguments as text and as what it says are the same arguments. Null for those that cannot be compared. */
function signature(tool: string, args: unknown): string | null {
  const text = canonicalJson([tool, typeof args === "string" ? parsed(args) : args]);
  return text === null ? null : digest(text).toString("base64");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text.trim();
  }
}

export function loopError({ tool, count, how }: Loop): LonghaulError {
  return fail("MODEL_LOOP", { tool: tool.slice(0, 100), count, how }, { details: { tool, count, how } });
}
