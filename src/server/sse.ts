// Server-sent events as bytes: how a frame is written, and how a client's cursor is read.
import { jsonText } from "./json.ts";
import { type Ctx, invalid } from "./request.ts";

/** A single line without the blank one: that would end a frame, and some clients then deliver an empty event. */
export const HEARTBEAT = ": heartbeat\n";

export const SSE_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-transform",
  "x-accel-buffering": "no",
} as const;

export interface Frame {
  /** One of our own words: never a client's text. */
  readonly event: string;
  readonly data: unknown;
}

/** Everything one journal entry has to say. The id stands on the last frame only: whoever has seen it has seen all of them. */
export function framesText(frames: readonly Frame[], id: number | null): string {
  const last = frames.length - 1;
  return frames.map((frame, place) => frameText(frame, place === last ? id : null)).join("");
}

/** JSON text has no line breaks of its own, so no value can forge a field or an event. */
function frameText({ event, data }: Frame, id: number | null): string {
  const idLine = id === null ? "" : `id: ${id}\n`;
  return `event: ${event}\ndata: ${jsonText(data, { stacks: false })}\n${idLine}\n`;
}

/** Everything from the start, with the greeting that comes before the first entry. */
export const FROM_START = -1;

/**
 * The cursor of a reconnecting client: the last id it has seen. `Last-Event-ID` counts before `?after=`; `-1` and `-` mean all.
 *
 * @throws REQUEST_INVALID
 */
export function cursorOf(c: Ctx): number {
  const given = c.req.header("last-event-id") ?? c.req.query("after") ?? "";
  if (given === "" || given === "-" || given === "-1") return FROM_START;
  if (/^\d{1,10}$/.test(given)) return Number(given);
  throw invalid([{ path: "Last-Event-ID", message: "expected the number of an event, or -1 for all" }]);
}
