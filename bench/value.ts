// What the value encoding costs over bare JSON: run with `npx tsx bench/value.ts`, prints microseconds and ratios.
import { decodeValue, encodeValue } from "../src/domain/value.ts";

const paragraph = 'The agent read "the report" and answered.\nIt cited three sources — all of them public. '.repeat(14);

const samples: Readonly<Record<string, unknown>> = {
  "small step result": { ok: true, n: 1, text: "hello world", items: [1, 2, 3], nested: { a: null, b: "x" } },
  "one message": { role: "assistant", content: paragraph, usage: { input: 812, output: 214 } },
  "thread of 400 messages": Array.from({ length: 400 }, (_, index) => ({
    id: `msg_${index}`,
    role: index % 2 === 0 ? "user" : "assistant",
    content: paragraph,
    meta: { model: "gpt-5-mini", tokens: index * 3 },
  })),
  "1,000 rows of small fields": Array.from({ length: 1_000 }, (_, index) => ({
    id: index,
    name: `name ${index}`,
    active: index % 2 === 0,
    score: index / 7,
    tags: ["a", "b", "c"],
    place: { lat: index / 3, lon: 1 + index / 3 },
  })),
  "embedding as array": Array.from({ length: 1_536 }, (_, index) => Math.sin(index)),
};

const tagged: Readonly<Record<string, unknown>> = {
  "1,000 rows with a date": Array.from({ length: 1_000 }, (_, index) => ({ id: index, at: new Date(index * 1e9) })),
  "embedding as Float32Array": Float32Array.from({ length: 1_536 }, (_, index) => Math.sin(index)),
};

/** Microseconds of one call: the fastest of five batches, each long enough to measure. */
function microseconds(call: () => unknown): number {
  let calls = 1;
  while (batchMs(call, calls) < 20) calls *= 2;
  return Math.min(...Array.from({ length: 5 }, () => batchMs(call, calls))) * (1_000 / calls);
}

function batchMs(call: () => unknown, calls: number): number {
  const startedAt = performance.now();
  for (let index = 0; index < calls; index++) call();
  return performance.now() - startedAt;
}

function measure(name: string, value: unknown): void {
  const text = encodeValue(value);
  const json = JSON.stringify(value);
  const stringify = microseconds(() => JSON.stringify(value));
  const encode = microseconds(() => encodeValue(value));
  const parse = microseconds(() => JSON.parse(json));
  const decode = microseconds(() => decodeValue(text));
  const cells = [name.padEnd(28), `${text.length} chars`.padStart(14)];
  cells.push(`stringify ${stringify.toFixed(2)} µs`, `encode × ${(encode / stringify).toFixed(2)}`);
  cells.push(`parse ${parse.toFixed(2)} µs`, `decode × ${(decode / parse).toFixed(2)}`);
  console.log(cells.join("  "));
}

for (const [name, value] of Object.entries({ ...samples, ...tagged })) measure(name, value);
