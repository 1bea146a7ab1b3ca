// How bytes go out: when, in which pieces, and how it ends. Never early, and as little late as a timer allows.
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";

export interface Delivery {
  readonly status: number;
  readonly headers: OutgoingHttpHeaders;
  readonly pieces: readonly (string | Uint8Array)[];
  /** When the headers and the first piece go, on `performance.now()`. */
  readonly dueMs: number;
  /** Between two pieces; 0 sends them together. */
  readonly chunkMs: number;
  readonly ending: "end" | "hang" | "reset";
  /** False: it hangs, or is reset, before there is any answer. */
  readonly withHeaders: boolean;
}

export function deliver(response: ServerResponse, delivery: Delivery): void {
  at(delivery.dueMs, () => begin(response, delivery));
}

/** Runs it at that moment of `performance.now()`, at once when it has passed. */
export function at(dueMs: number, then: () => void): void {
  const waitMs = dueMs - performance.now();
  if (waitMs <= 0) then();
  // A timer may fire part of a millisecond early: then it waits for the rest.
  else setTimeout(() => (performance.now() < dueMs ? at(dueMs, then) : then()), Math.ceil(waitMs));
}

function begin(response: ServerResponse, delivery: Delivery): void {
  if (response.destroyed) return;
  if (!delivery.withHeaders) return void finish(response, delivery);
  const { status, headers, pieces, chunkMs, ending } = delivery;
  if (ending === "end" && (chunkMs === 0 || pieces.length < 2)) {
    const [first = ""] = pieces;
    const whole = pieces.length < 2 ? first : joined(pieces);
    response.writeHead(status, headers).end(whole);
    return;
  }
  response.writeHead(status, headers).flushHeaders();
  send(response, delivery, 0);
}

function send(response: ServerResponse, delivery: Delivery, from: number): void {
  const { pieces, chunkMs, dueMs } = delivery;
  if (response.destroyed) return;
  let next = from;
  do {
    const piece = pieces[next];
    if (piece === undefined) return void finish(response, delivery);
    response.write(piece);
    next += 1;
  } while (chunkMs === 0);
  if (next >= pieces.length && delivery.ending === "end") return void finish(response, delivery);
  at(dueMs + next * chunkMs, () => send(response, delivery, next));
}

function finish(response: ServerResponse, { ending }: Delivery): void {
  if (ending === "end") response.end();
  // A reset discards what the socket still holds: what was written gets a moment to leave.
  if (ending === "reset") setTimeout(() => response.socket?.resetAndDestroy(), 5);
}

export function joined(pieces: readonly (string | Uint8Array)[]): string | Uint8Array {
  if (pieces.every((piece) => typeof piece === "string")) return pieces.join("");
  return Buffer.concat(pieces.map((piece) => (typeof piece === "string" ? Buffer.from(piece) : piece)));
}
