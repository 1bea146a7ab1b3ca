// What the demo writes: plain lines where nobody looks, colours and a moving line only on a terminal, JSON when asked.
import { expect, test } from "vitest";
import type { Tale } from "../../../examples/demo/tale.ts";
import { jsonTeller } from "../../../examples/demo/tell-json.ts";
import { lineTeller } from "../../../examples/demo/tell-lines.ts";
import { wrapped } from "../../../examples/demo/wrapped.ts";

const worker = { name: "A", pid: 4711 };
const TALES: readonly Tale[] = [
  { event: "welcome", question: "Why?", model: "rules", runs: 9, database: "a database", stepPauseMs: 1 },
  { event: "preparing", what: "the stage" },
  { event: "indexing", passages: 500, pages: 20 },
  { event: "prepared", what: "index", detail: "500 passages", seconds: 1.2 },
  { event: "worker_ready", worker, seconds: 0.4 },
  { event: "scene", number: 1, title: "One run", about: ["slowly"] },
  { event: "submitted", runId: "r", question: "Why?", follow: "GET /runs/r/events" },
  { event: "step_began", worker, step: "plan", again: false },
  { event: "step", worker, step: "plan", durationMs: 70, detail: "3 searches", failed: false, bodies: 2 },
  { event: "kill", worker, step: "search", inHand: 1 },
  { event: "takeover", from: worker, by: { name: "B", pid: 4712 }, afterMs: 40, steps: 1, queries: 1 },
  { event: "progress", finished: 3, runs: 9, bodies: 12, killed: 1 },
  { event: "failed", message: "the reason", hint: "what to do" },
];

function told(stream: { isTTY?: boolean; columns?: number }, env: Record<string, string> = {}): string {
  const written: string[] = [];
  const fake = { ...stream, write: (text: string) => written.push(text) > 0 } as unknown as NodeJS.WriteStream;
  const teller = lineTeller(fake, env);
  for (const tale of TALES) teller.tell(tale);
  teller.end();
  return written.join("");
}

test("piped, it is whole lines without a control character", () => {
  const text = told({});
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(text.replaceAll("\n", "")).not.toMatch(/[\u0000-\u001f\u007f]/);
  expect(text.endsWith("\n")).toBe(true);
  expect(text).toContain("✗ KILL  kill -9 worker A (pid 4711), in the middle of search");
  expect(text).toContain(
    "lease of A freed by the supervisor, worker B (pid 4712) took over in 0.04 s, replayed 1 recorded step in 1 query",
  );
  expect(text).toContain("(body begun 2 times, recorded once)");
});

test("on a terminal it has colours and a line that moves; NO_COLOR takes the colours away", () => {
  const terminal = { isTTY: true, columns: 80 };
  expect(told(terminal, { TERM: "xterm" })).toContain("\u001b[31m");
  const plain = told(terminal, { TERM: "xterm", NO_COLOR: "1" });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are made of control characters
  expect(plain).not.toMatch(/\u001b\[\d+m/);
  expect(plain).toContain("\r\u001b[2K");
});

test("as JSON it is one object per line", () => {
  const written: string[] = [];
  const teller = jsonTeller({ write: (text: unknown) => written.push(String(text)) > 0 });
  for (const tale of TALES) teller.tell(tale);
  const lines = written.join("").trimEnd().split("\n");
  expect(lines.map((line) => (JSON.parse(line) as Tale).event)).toEqual(TALES.map(({ event }) => event));
});

test("prose is broken between words, and code is left as it is", () => {
  expect(wrapped("one two three\n```\none two three\n```", 8)).toEqual([
    "one two",
    "three",
    "```",
    "one two three",
    "```",
  ]);
});
