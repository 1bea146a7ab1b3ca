// The one error class of Longhaul and its typed constructor; the codes themselves are in error-catalogue.ts.
import { catalogue } from "./error-catalogue.ts";

export { type CatalogueEntry, catalogue } from "./error-catalogue.ts";

/** A stable, documented name for one way to fail; see docs/reference/errors.md. */
export type ErrorCode = keyof typeof catalogue;

type Placeholders<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Placeholders<Rest>
  : never;

type ParamNames<Code extends ErrorCode> = Placeholders<
  (typeof catalogue)[Code]["message"] | (typeof catalogue)[Code]["hint"]
>;

/** The parameters that the message and hint of a code need, by name. */
export type ErrorParams<Code extends ErrorCode> = { readonly [Name in ParamNames<Code>]: string | number };

export interface ErrorExtras {
  readonly cause?: unknown;
  /** Machine-readable facts about this occurrence; they leave the server as they are, so no secrets. */
  readonly details?: unknown;
}

type FailArguments<Code extends ErrorCode> = [ParamNames<Code>] extends [never]
  ? [params?: Record<never, never> | undefined, extras?: ErrorExtras]
  : [params: ErrorParams<Code>, extras?: ErrorExtras];

/** Every error that Longhaul throws on purpose: what and why (`message`), what to do (`hint`), and a stable `code`. */
export class LonghaulError extends Error {
  override readonly name = "LonghaulError";
  readonly code: ErrorCode;
  readonly status: number;
  readonly hint: string;
  readonly retryable: boolean;
  readonly details: unknown;

  constructor(code: ErrorCode, message: string, hint: string, extras: ErrorExtras = {}) {
    super(message, "cause" in extras ? { cause: extras.cause } : undefined);
    this.code = code;
    this.status = catalogue[code].status;
    this.hint = hint;
    this.retryable = catalogue[code].retryable;
    this.details = extras.details;
  }
}

/**
 * Makes (does not throw) the error of a code: `throw fail("SCHEMA_DRIFT", { migration: "0001_init" })`.
 * The compiler asks for exactly the parameters that the code's message and hint name.
 */
export function fail<Code extends ErrorCode>(code: Code, ...args: FailArguments<Code>): LonghaulError {
  const [params = {}, extras] = args;
  const { message, hint } = catalogue[code];
  return new LonghaulError(code, fill(message, params), fill(hint, params), extras);
}

/** True for an error made by `fail`, with this code if one is given; also across copies of the package. */
export function isLonghaulError(value: unknown, code?: ErrorCode): value is LonghaulError {
  if (!(value instanceof Error) || value.name !== "LonghaulError" || !("code" in value)) return false;
  return code === undefined || value.code === code;
}

function fill(template: string, params: Readonly<Record<string, string | number>>): string {
  return template.replace(/\{(\w+)\}/g, (placeholder, name: string) => {
    return Object.hasOwn(params, name) ? String(params[name]) : placeholder;
  });
}
