// Events come out whole however the bytes of a stream are cut.
import { expect, test } from "vitest";
import { type ServerEvent, serverEvents } from "../../../src/gateway/openai/event-stream.ts";

async function* cut(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function all(source: AsyncIterable<Uint8Array>, bytesMax = 1_000): Promise<ServerEvent[]> {
  const events: ServerEvent[] = [];
  for await (const event of serverEvents(source, bytesMax)) events.push(event);
  return events;
}

const TEXT =
  ': hello\nevent: a\r\ndata: {"é":"🎉"}\r\n\r\ndata:x\ndata: y\n\n: heartbeat\n\nid: 3\ndata: [DONE]\n\ndata: tail\n';
const EVENTS = [
  { event: "a", data: '{"é":"🎉"}' },
  { event: null, data: "x\ny" },
  { event: null, data: "[DONE]" },
];

test.each([1, 2, 3, 7, 1_000])("cut into pieces of %i bytes", async (size) => {
  expect(await all(cut(`${TEXT}\n`, size))).toEqual([...EVENTS, { event: null, data: "tail" }]);
});

test("what the end cuts off in the middle of a line is not an event", async () => {
  expect(await all(cut("data: a\n\ndata: b", 100))).toEqual([{ event: null, data: "a" }]);
});

test("an event without end is refused", async () => {
  await expect(all(cut(`data: ${"x".repeat(2_000)}`, 100))).rejects.toThrow("larger than 1000 bytes");
});
