// A stream of server-sent events taken apart: bytes in whatever pieces they come, events whole.
import { StringDecoder } from "node:string_decoder";
import { TruncatedStream } from "../truncated-stream.ts";

export interface ServerEvent {
  /** Null where the event has no name. */
  readonly event: string | null;
  readonly data: string;
}

/** @throws TruncatedStream for an event beyond the limit */
export async function* serverEvents(body: AsyncIterable<Uint8Array>, bytesMax: number): AsyncGenerator<ServerEvent> {
  const decoder = new StringDecoder("utf8");
  let event: string | null = null;
  let data: string[] = [];
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    let from = 0;
    for (let end = rest.indexOf("\n"); end !== -1; end = rest.indexOf("\n", from)) {
      const line = rest.slice(from, rest[end - 1] === "\r" ? end - 1 : end);
      from = end + 1;
      if (line === "") {
        if (data.length > 0) yield { event, data: data.join("\n") };
        event = null;
        data = [];
      } else if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
      else if (line.startsWith("event:")) event = line.slice(6).trim();
    }
    rest = rest.slice(from);
    if (rest.length > bytesMax)
      throw new TruncatedStream(`an event of the stream is larger than ${bytesMax} bytes`, "");
  }
  if (data.length > 0) yield { event, data: data.join("\n") };
}
