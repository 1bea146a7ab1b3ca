// A bounded, serialisable description of anything that code can throw, and the error that stands for it afterwards.
import { bareError, errorClassOf, isErrorClass } from "./error-classes.ts";
import {
  FAILURE_CAUSES_MAX,
  FAILURE_CHARS_MAX,
  FAILURE_ERRORS_MAX,
  FAILURE_MESSAGE_CHARS_MAX,
  FAILURE_NAME_CHARS_MAX,
  FAILURE_NODES_MAX,
  FAILURE_STACK_CHARS_MAX,
  FAILURE_STACK_FRAMES_MAX,
  RETRY_AFTER_MS_MAX,
} from "./limits.ts";
import { type SpentBudget, spentBudgetOf } from "./spent-budget.ts";
import { clip, copyHead, storable } from "./text.ts";

/** Plain JSON; its texts contain neither NUL nor lone surrogates, so every PostgreSQL type takes them. */
export interface Failure {
  /** The error's name, or that of its class where the name says only "Error". */
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string | number;
  readonly cause?: Failure;
  /** What an AggregateError holds: the first ten. */
  readonly errors?: readonly Failure[];
  /** What the error said about itself; absent when it said nothing. */
  readonly retryable?: boolean;
  /** How long the other side asked us to wait before the next attempt, in milliseconds. */
  readonly retryAfterMs?: number;
  /** Of a budget that was exceeded: which limit, and what was spent. */
  readonly details?: SpentBudget;
}

interface Walk {
  nodes: number;
  chars: number;
  readonly seen: Set<unknown>;
}

const UNREADABLE: Failure = { name: "Error", message: "something was thrown that cannot be read" };

/**
 * Describes whatever was thrown. Never throws and never loops; the result is at most some 64 KiB of text whatever came in:
 * messages and stacks are cut at 8,192 characters, stacks at 50 frames, causes at 5, the errors of an AggregateError at 10.
 */
export function toFailure(thrown: unknown): Failure {
  try {
    return describe(thrown, 0, { nodes: FAILURE_NODES_MAX, chars: FAILURE_CHARS_MAX, seen: new Set() });
  } catch {
    return UNREADABLE;
  }
}

/**
 * An error with the failure's name, message, stack, code, cause, details and retry advice; an instance of the built-in class of that
 * name where there is one. `toFailure` gives the same failure again.
 */
export function fromFailure(failure: Failure): Error {
  const type = failure.errors !== undefined ? "AggregateError" : isErrorClass(failure.name) ? failure.name : "Error";
  const error = bareError(type, failure.message);
  if (error.name !== failure.name) hide(error, "name", failure.name);
  if (failure.stack !== undefined) hide(error, "stack", failure.stack);
  if (failure.cause !== undefined) hide(error, "cause", fromFailure(failure.cause));
  if (failure.errors !== undefined) hide(error, "errors", failure.errors.map(fromFailure));
  const { code, retryable, retryAfterMs, details } = failure;
  return Object.assign(error, defined({ code, retryable, retryAfterMs, details }));
}

function describe(thrown: unknown, depth: number, walk: Walk): Failure {
  walk.nodes -= 1;
  if (typeof thrown !== "object" || thrown === null) {
    return { name: "Error", message: take(walk, primitiveText(thrown), FAILURE_MESSAGE_CHARS_MAX) };
  }
  walk.seen.add(thrown);
  const message = read(thrown, "message");
  const name = nameOf(thrown);
  return {
    name: take(walk, name, FAILURE_NAME_CHARS_MAX),
    message: take(walk, typeof message === "string" ? message : preview(thrown), FAILURE_MESSAGE_CHARS_MAX),
    ...defined({
      stack: stackOf(thrown, walk),
      code: codeOf(thrown, walk),
      retryable: firstBoolean(read(thrown, "retryable"), read(thrown, "isRetryable")),
      retryAfterMs: retryAfterMsOf(thrown),
      details: read(thrown, "code") === "BUDGET_EXCEEDED" ? spentBudgetOf(read(thrown, "details")) : undefined,
      cause: causeOf(thrown, depth, walk),
      errors: errorsOf(thrown, depth, walk),
    }),
  };
}

function primitiveText(thrown: unknown): string {
  if (typeof thrown === "string") return thrown === "" ? "an empty string was thrown" : thrown;
  if (typeof thrown === "function") return "a function was thrown";
  return `${String(thrown)} was thrown`;
}

function nameOf(thrown: object): string {
  const name = read(thrown, "name");
  if (typeof name === "string" && name !== "" && name !== "Error") return name;
  const thrownClass = read(thrown, "constructor");
  const className = typeof thrownClass === "function" ? read(thrownClass, "name") : undefined;
  return typeof className === "string" && className !== "" && className !== "Object" ? className : "Error";
}

/** What is thrown without a message: its first properties, one level deep. */
function preview(thrown: object): string {
  const shown = Object.keys(thrown)
    .slice(0, 20)
    .map((key) => `${clip(key, 100)}: ${previewValue(read(thrown, key))}`);
  return shown.length === 0 ? "an object without a message was thrown" : `{ ${shown.join(", ")} }`;
}

function previewValue(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(clip(value, 300));
  if (typeof value === "function") return "(function)";
  return typeof value === "object" && value !== null ? "(object)" : clip(String(value), 300);
}

function stackOf(thrown: object, walk: Walk): string | undefined {
  const stack = read(thrown, "stack");
  if (typeof stack !== "string") return undefined;
  return take(walk, boundedStack(stack), FAILURE_STACK_CHARS_MAX, copyHead);
}

/** The header (which repeats the message) is cut before the frames are: the frames are what a stack is for. */
function boundedStack(stack: string): string {
  const headEnd = stack.indexOf("\n    at ");
  if (headEnd === -1) return stack;
  const head = clip(stack.slice(0, headEnd), FAILURE_STACK_CHARS_MAX / 8);
  const frames = stack.slice(headEnd, headEnd + FAILURE_STACK_CHARS_MAX).split("\n", FAILURE_STACK_FRAMES_MAX + 1);
  return head + frames.join("\n");
}

function codeOf(thrown: object, walk: Walk): string | number | undefined {
  const code = read(thrown, "code");
  if (typeof code === "number") return Number.isFinite(code) ? code : undefined;
  return typeof code === "string" ? take(walk, code, FAILURE_NAME_CHARS_MAX) : undefined;
}

function firstBoolean(...candidates: readonly unknown[]): boolean | undefined {
  return candidates.find((candidate) => typeof candidate === "boolean") as boolean | undefined;
}

function retryAfterMsOf(thrown: object): number | undefined {
  const retryAfterMs = read(thrown, "retryAfterMs");
  if (typeof retryAfterMs !== "number" || !(retryAfterMs >= 0)) return undefined;
  return Math.min(Math.ceil(retryAfterMs), RETRY_AFTER_MS_MAX);
}

function causeOf(thrown: object, depth: number, walk: Walk): Failure | undefined {
  const cause = read(thrown, "cause") ?? innerErrorOf(thrown);
  if (cause === undefined || cause === null || depth >= FAILURE_CAUSES_MAX) return undefined;
  return describable(cause, walk) ? describe(cause, depth + 1, walk) : undefined;
}

/** Some libraries, and JavaScript's own SuppressedError, say `error` for what is behind one. */
function innerErrorOf(thrown: object): Error | undefined {
  const inner = read(thrown, "error");
  return inner instanceof Error ? inner : undefined;
}

function errorsOf(thrown: object, depth: number, walk: Walk): readonly Failure[] | undefined {
  if (depth >= FAILURE_CAUSES_MAX || errorClassOf(thrown) !== "AggregateError") return undefined;
  const errors = read(thrown, "errors");
  if (!Array.isArray(errors)) return undefined;
  const described: Failure[] = [];
  for (let index = 0; index < errors.length && described.length < FAILURE_ERRORS_MAX; index++) {
    const error = read(errors, index);
    if (describable(error, walk)) described.push(describe(error, depth + 1, walk));
    if (walk.nodes <= 0) break;
  }
  return described;
}

function describable(thrown: unknown, walk: Walk): boolean {
  return walk.nodes > 0 && !walk.seen.has(thrown);
}

/** A property of an object that may answer with an exception. */
function read(target: object, key: string | number): unknown {
  try {
    return Reflect.get(target, key);
  } catch {
    return undefined;
  }
}

/** The text, cut to its own limit and to what is left for the whole failure. */
function take(walk: Walk, text: string, maxChars: number, cut = clip): string {
  const kept = storable(cutTo(text, Math.min(maxChars, walk.chars), cut));
  walk.chars -= kept.length;
  return kept;
}

function cutTo(text: string, maxChars: number, cut: typeof clip): string {
  return text.length <= maxChars ? text : cut(text, maxChars);
}

function hide(error: Error, key: string, value: unknown): void {
  Object.defineProperty(error, key, { value, enumerable: false, writable: true, configurable: true });
}

type Defined<T> = { [Key in keyof T]?: Exclude<T[Key], undefined> };

function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}
