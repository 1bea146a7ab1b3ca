// What a fault does to the bytes of an answer that was well on its way.
import { type Delivery, joined } from "./deliver.ts";
import type { ErrorReply } from "./dialect.ts";
import type { Fault } from "./fault.ts";

const HTML =
  "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>fake-proxy</center>\r\n</body>\r\n</html>\r\n";

export interface DamageFacts {
  readonly streamed: boolean;
  /** The event of the error that a stream_error is. */
  readonly streamError: () => string;
  /** The same error, for a call that does not stream. */
  readonly error: () => ErrorReply;
}

export function damaged(delivery: Delivery, fault: Fault, facts: DamageFacts): Delivery {
  const { pieces } = delivery;
  switch (fault.kind) {
    case "hang_before_headers":
      return { ...delivery, pieces: [], ending: "hang", withHeaders: false };
    case "hang_after_headers":
      return { ...unsized(delivery), pieces: [], ending: "hang" };
    case "hang_mid_stream":
      return { ...unsized(delivery), pieces: beginning(pieces, fault), ending: "hang" };
    case "reset":
      return { ...delivery, pieces: [], ending: "reset", withHeaders: false };
    case "reset_mid_stream":
      return { ...unsized(delivery), pieces: beginning(pieces, fault), ending: "reset" };
    case "cut":
      return { ...unsized(delivery), pieces: beginning(pieces, fault) };
    case "cut_character":
      return { ...unsized(delivery), pieces: [cutInCharacter(pieces)] };
    case "stream_error":
      return facts.streamed
        ? { ...delivery, pieces: [...beginning(pieces, fault), facts.streamError()] }
        : refused(delivery, facts.error());
    case "garbage_json":
      return sized({ ...delivery, pieces: ['{"id": "fake", "choi} <- this is not JSON'] }, "application/json");
    case "garbage_event":
      return facts.streamed
        ? { ...delivery, pieces: [...beginning(pieces, fault), 'data: {"choices": [{"del\n\n', ...pieces.slice(-1)] }
        : sized({ ...delivery, pieces: ["[DONE"] }, "application/json");
    case "wrong_shape": {
      const shape = JSON.stringify({ fake: "an object, but not the one that was asked for" });
      return facts.streamed
        ? { ...delivery, pieces: [`data: ${shape}\n\n`] }
        : sized({ ...delivery, pieces: [shape] }, "application/json");
    }
    case "html":
      return sized({ ...delivery, status: 502, pieces: [HTML] }, "text/html");
    case "slow_drip":
      return { ...delivery, pieces: drips(pieces, fault.dripBytes ?? 8), chunkMs: fault.dripMs ?? 20 };
    case "split_characters":
      return { ...delivery, pieces: splitInCharacters(pieces), chunkMs: Math.max(3, delivery.chunkMs) };
    default:
      return delivery;
  }
}

/** The delivery of an error, at the same moment. */
export function refused(delivery: Delivery, { status, headers, body }: ErrorReply): Delivery {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const whole = { ...delivery, status, headers: { ...delivery.headers, ...headers }, pieces: [text], chunkMs: 0 };
  return sized({ ...whole, ending: "end", withHeaders: true }, "application/json");
}

export function sized(delivery: Delivery, type: string): Delivery {
  const length = delivery.pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0);
  const { "transfer-encoding": _chunked, ...headers } = delivery.headers;
  return { ...delivery, headers: { ...headers, "content-type": type, "content-length": length } };
}

/** Without its length: what ends early must still be a whole HTTP message. */
function unsized(delivery: Delivery): Delivery {
  const { "content-length": _length, ...headers } = delivery.headers;
  return { ...delivery, headers };
}

function beginning(pieces: Delivery["pieces"], { afterChunks }: Fault): Delivery["pieces"] {
  if (pieces.length === 1 && afterChunks === undefined) {
    const [whole = ""] = pieces;
    return [Buffer.from(whole as string).subarray(0, Math.floor(Buffer.byteLength(whole) / 2))];
  }
  return pieces.slice(0, afterChunks ?? Math.ceil(pieces.length / 2));
}

function bytesOf(pieces: Delivery["pieces"]): Buffer {
  const whole = joined(pieces);
  return typeof whole === "string" ? Buffer.from(whole) : Buffer.from(whole);
}

const isInner = (byte: number | undefined): boolean => ((byte ?? 0) & 0xc0) === 0x80;

/** All that comes before the second byte of the last character of several bytes. */
function cutInCharacter(pieces: Delivery["pieces"]): Buffer {
  const bytes = bytesOf(pieces);
  let end = bytes.length - 1;
  while (end > 0 && !(isInner(bytes[end]) && !isInner(bytes[end - 1]))) end -= 1;
  return bytes.subarray(0, end);
}

function splitInCharacters(pieces: Delivery["pieces"]): Buffer[] {
  const bytes = bytesOf(pieces);
  const parts: Buffer[] = [];
  let start = 0;
  for (let end = 1; end < bytes.length && parts.length < 200; end += 1) {
    if (!isInner(bytes[end])) continue;
    parts.push(bytes.subarray(start, end));
    start = end;
  }
  return [...parts, bytes.subarray(start)];
}

function drips(pieces: Delivery["pieces"], size: number): Buffer[] {
  const bytes = bytesOf(pieces);
  const parts: Buffer[] = [];
  for (let start = 0; start < bytes.length; start += size) parts.push(bytes.subarray(start, start + size));
  return parts;
}
