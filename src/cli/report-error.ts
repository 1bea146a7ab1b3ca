// An error as its reader needs it: what, why and the fix on standard error, JSON with --json, and the exit code.

import { isLonghaulError } from "../domain/errors.ts";
import { asUnavailable } from "../store/driver-errors.ts";
import { type Block, line, toned } from "./blocks.ts";
import { layOut, type Paper } from "./layout.ts";

export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** An error as data: what `--json` prints under `error`. */
export interface ErrorReport {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly retryable: boolean;
  readonly details?: unknown;
}

const UNEXPECTED_HINT = "This is a bug in Longhaul or in code it loaded: report it with the text above.";

export function errorReport(thrown: unknown): ErrorReport {
  const error = asUnavailable(thrown);
  if (!isLonghaulError(error)) {
    const message = error instanceof Error ? error.message : String(error);
    return { code: "UNEXPECTED", message, hint: UNEXPECTED_HINT, retryable: false };
  }
  const { code, message, hint, retryable, details } = error;
  return { code, message, hint, retryable, ...(details === undefined ? {} : { details }) };
}

/** The text for standard error. */
export function errorText(thrown: unknown, json: boolean, paper: Paper): string {
  const report = errorReport(thrown);
  if (json) return `${JSON.stringify({ error: report })}\n`;
  const blocks: Block[] = [line(toned("bad", `error ${report.code}`), report.message)];
  const trace = traceOf(thrown);
  if (trace !== null) blocks.push(line(toned("dim", trace)));
  blocks.push(line(toned("info", "  fix"), report.hint));
  return layOut(blocks, paper);
}

export function exitCodeOf(thrown: unknown): number {
  return isLonghaulError(thrown, "COMMAND_INVALID") ? EXIT.usage : EXIT.failed;
}

/** Where it happened: for a bug, and for the user's file that could not be loaded. */
function traceOf(thrown: unknown): string | null {
  const error = isLonghaulError(thrown, "CONFIG_INVALID") ? thrown.cause : thrown;
  if (!(error instanceof Error) || isLonghaulError(asUnavailable(error))) return null;
  const frames = error.stack?.split("\n").filter((frame) => /^\s+at /.test(frame)) ?? [];
  return frames.length === 0 ? null : frames.slice(0, 5).join("\n");
}
