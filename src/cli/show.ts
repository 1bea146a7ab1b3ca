// How single things look to people: statuses, moments, durations, values, failures.
import { inspect } from "node:util";
import type { ApprovalStatus } from "../domain/approval.ts";
import { formatDuration } from "../domain/duration.ts";
import type { RunStatus } from "../domain/run.ts";
import { type Cell, type Tone, type Toned, toned } from "./blocks.ts";

const statusTones: Readonly<
  Record<RunStatus | ApprovalStatus | "retrying" | "active" | "draining" | "stopped" | "lost" | "revoked", Tone>
> = {
  queued: "plain",
  running: "info",
  waiting: "warn",
  paused: "bad",
  succeeded: "good",
  failed: "bad",
  cancelled: "dim",
  pending: "warn",
  approved: "good",
  denied: "bad",
  expired: "dim",
  retrying: "warn",
  active: "good",
  draining: "warn",
  stopped: "dim",
  lost: "bad",
  revoked: "bad",
};

export function status(name: keyof typeof statusTones): Toned {
  return toned(statusTones[name], name);
}

/** `4 s ago`; the database's clock and ours may differ a little, so the future is `now`. */
export function ago(iso: string, now = Date.now()): string {
  const ms = now - Date.parse(iso);
  return ms < 1_000 ? "now" : `${formatDuration(wholeSeconds(ms))} ago`;
}

/** `in 3 days`, or `now` when it has passed. */
export function until(iso: string, now = Date.now()): string {
  const ms = Date.parse(iso) - now;
  return ms < 1_000 ? "now" : `in ${formatDuration(wholeSeconds(ms))}`;
}

export function duration(ms: number): string {
  return formatDuration(Math.round(ms));
}

export function between(from: string, to: string): string {
  return duration(Math.max(0, Date.parse(to) - Date.parse(from)));
}

/** Local time of day. */
export function clock(iso: string): string {
  return new Date(iso).toTimeString().slice(0, 8);
}

/** A value on one line, as JavaScript shows it. */
export function brief(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  return inspect(value, { depth: 3, breakLength: Number.POSITIVE_INFINITY, maxStringLength: 200, maxArrayLength: 20 });
}

/** A value in full, on as many lines as it needs. */
export function full(value: unknown): string {
  return typeof value === "string"
    ? value
    : inspect(value, { depth: 8, breakLength: 100, maxStringLength: 4_000, maxArrayLength: 200 });
}

/** What failed, in one line: a failure that was recorded, or anything else that came in its place. */
export function failureLine(failure: unknown): string {
  if (typeof failure !== "object" || failure === null || !("message" in failure)) return brief(failure);
  const name = "name" in failure ? `${String(failure.name)}: ` : "";
  return `${name}${String(failure.message)}`;
}

export function count(value: number | null): Cell {
  return value === null ? toned("dim", "-") : String(value);
}

function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1_000) * 1_000;
}
