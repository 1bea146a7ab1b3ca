// Messages while they are written, as LangGraph's own client sees them: in both modes, across broken connections, failed attempts,
// killed workers, and other processes.
import type { Client } from "@langchain/langgraph-sdk";
import { MessageTupleManager, StreamManager } from "@langchain/langgraph-sdk/ui";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/runtime/connect.ts";
import { serve } from "../../src/server/index.ts";
import { freshDatabase } from "../support/postgres.ts";
import { startWorker, type WorkerProcess } from "../support/worker-process.ts";
import { gate } from "./agents.ts";
import {
  clientOf,
  type House,
  openHouse,
  type Part,
  parseFrames,
  readAll,
  readUntil,
  silent,
  until,
} from "./harness.ts";
import { agents as slowTellers } from "./slow-teller.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());

interface Told {
  readonly id: string;
  readonly type: string;
  readonly content: string;
  readonly [member: string]: unknown;
}

const ID = /^[0-9a-f-]{36}:tell#1$/;

/** What a client has that puts tuples together as LangGraph's does. */
class Puzzle {
  readonly #manager = new MessageTupleManager();
  readonly steps: string[] = [];

  add({ event, data }: { event: string; data: unknown }): void {
    if (event !== "messages") return;
    const [message, metadata] = data as [never, never];
    const id = this.#manager.add(message, metadata);
    const chunk = this.#manager.get(id)?.chunk;
    this.steps.push(chunk?.getType() === "remove" ? "(removed)" : String(chunk?.content));
  }

  get text(): string | undefined {
    return this.steps.at(-1);
  }
}

interface Stream {
  readonly parts: Part[];
  readonly puzzle: Puzzle;
  readonly done: Promise<void>;
}

/** Starts a run on a new thread and reads it with LangGraph's client beside the test. */
async function start(
  client: Client,
  agent: string,
  input: unknown,
  streamMode: ("messages" | "messages-tuple" | "values")[],
) {
  const { thread_id: threadId } = await client.threads.create();
  return read(client.runs.stream(threadId, agent, { input: input as never, streamMode }));
}

function read(source: AsyncIterable<unknown>): Stream {
  const parts: Part[] = [];
  const puzzle = new Puzzle();
  const done = (async () => {
    for await (const part of source) {
      parts.push(part as Part);
      puzzle.add(part as Part);
    }
  })();
  return { parts, puzzle, done };
}

const toldIn = (parts: readonly Part[], event: string): Told[] =>
  parts.filter((part) => part.event === event).map(({ data }) => (data as Told[])[0] as Told);

async function startTeller(door: string, input: Record<string, unknown>): Promise<{ runId: string; path: string }> {
  const { thread_id: threadId } = await house.client.threads.create();
  const run = await house.client.runs.create(threadId, "teller", { input: { gate: door, ...input } });
  return { runId: run.run_id, path: `/threads/${threadId}/runs/${run.run_id}/stream` };
}

describe("messages-tuple", () => {
  test("sends what is new, live and without ids, and ends a message with an empty chunk that has one", async () => {
    const input = { words: ["one ", "two ", "three"], gate: "tuple", gates: [1, 2, 3] };
    const { parts, puzzle, done } = await start(house.client, "teller", input, ["messages-tuple", "values"]);
    await until(async () => puzzle.text === "one ");
    gate("tuple:1").open();
    await until(async () => puzzle.text === "one two ");
    gate("tuple:2").open();
    await until(async () => puzzle.text === "one two three");
    // The client's cursor has not moved from the greeting's.
    expect(parts.map(({ id }) => id)).toEqual(["0", "0", "0", "0"]);
    gate("tuple:3").open();
    await done;
    const told = toldIn(parts, "messages");
    expect(told.map(({ content }) => content)).toEqual(["one ", "two ", "three", ""]);
    for (const { id, type } of told) expect([id, type]).toEqual([expect.stringMatching(ID), "ai"]);
    expect(parts.map(({ event }) => event).slice(-2)).toEqual(["messages", "values"]);
    expect(Number(parts.at(-2)?.id)).toBeGreaterThan(0);
    const [, metadata] = (parts[1] as Part).data as [unknown, Record<string, unknown>];
    expect(metadata).toMatchObject({ langgraph_node: "tell", graph_id: "teller", run_attempt: 1 });
  });

  test("takes the words of a failed attempt back when the next one speaks", async () => {
    const input = { words: ["on", "ce"], fails: 1, gate: "again", gates: [2] };
    const { parts, puzzle, done } = await start(house.client, "teller", input, ["messages-tuple"]);
    await until(async () => puzzle.text === "ONCE");
    gate("again:2").open();
    await done;
    expect(puzzle.text).toBe("once");
    expect(puzzle.steps).toContain("(removed)");
    expect(toldIn(parts, "messages").find(({ type }) => type === "remove")?.id).toMatch(ID);
  });

  test("carries reasoning and tool calls as LangChain's chunks do", async () => {
    const manager = new MessageTupleManager();
    const { parts, done } = await start(house.client, "thinker", null, ["messages-tuple"]);
    await done;
    for (const { event, data } of parts)
      if (event === "messages") manager.add((data as [never])[0], (data as [never, never])[1]);
    const id = toldIn(parts, "messages")[0]?.id;
    const chunk = manager.get(id)?.chunk as unknown as Record<string, unknown>;
    expect(chunk).toMatchObject({
      content: "Let me look.",
      additional_kwargs: { reasoning_content: "Hmm. A lookup." },
      tool_calls: [{ name: "search", args: { query: "ships" }, id: "call-1" }],
      usage_metadata: { input_tokens: 12, output_tokens: 34, total_tokens: 46 },
      response_metadata: { finish_reason: "tool-calls" },
    });
  });
});

describe("messages", () => {
  test("sends the message so far again and again, and the whole at the end", async () => {
    const input = { words: ["one ", "two"], gate: "whole", gates: [1, 2] };
    const { parts, done } = await start(house.client, "teller", input, ["messages"]);
    const partials = () => toldIn(parts, "messages/partial").map(({ content }) => content);
    await until(async () => partials().at(-1) === "one ");
    gate("whole:1").open();
    await until(async () => partials().at(-1) === "one two");
    expect(parts.map(({ event }) => event)).toEqual([
      "metadata",
      "messages/metadata",
      "messages/partial",
      "messages/partial",
    ]);
    expect(parts.map(({ id }) => id)).toEqual(["0", "0", "0", "0"]);
    gate("whole:2").open();
    await done;
    expect(parts.at(-1)).toMatchObject({ event: "messages/complete", data: [{ type: "ai", content: "one two" }] });
    expect(Number(parts.at(-1)?.id)).toBeGreaterThan(0);
    expect(Object.keys(parts[1]?.data as object)).toEqual([expect.stringMatching(ID)]);
  });

  test("shows the next attempt's words instead of those of one that failed", async () => {
    const input = { words: ["on", "ce"], fails: 1, gate: "whole-again", gates: [2] };
    const { parts, done } = await start(house.client, "teller", input, ["messages"]);
    await until(async () => toldIn(parts, "messages/partial").at(-1)?.content === "ONCE");
    gate("whole-again:2").open();
    await done;
    expect(toldIn(parts, "messages/complete").map(({ content }) => content)).toEqual(["once"]);
    const contents = toldIn(parts, "messages/partial").map(({ content }) => content);
    for (const content of contents) expect(["ONCE", "once"].some((text) => text.startsWith(content))).toBe(true);
  });

  test("of a language model are whole messages of LangChain's", async () => {
    const { parts, done } = await start(house.client, "thinker", null, ["messages"]);
    await done;
    expect(toldIn(parts, "messages/complete")[0]).toMatchObject({
      type: "ai",
      content: "Let me look.",
      tool_calls: [{ name: "search", args: { query: "ships" }, id: "call-1", type: "tool_call" }],
      invalid_tool_calls: [],
      additional_kwargs: { reasoning_content: "Hmm. A lookup." },
    });
  });

  test("that are long are not sent again for every word", async () => {
    const word = "x".repeat(100);
    const { parts, done } = await start(house.client, "teller", { words: Array(3_000).fill(word) }, ["messages"]);
    await done;
    const sent = toldIn(parts, "messages/partial").reduce((sum, { content }) => sum + content.length, 0);
    expect(sent).toBeLessThan(100 * 300_000);
    expect(toldIn(parts, "messages/complete")[0]?.content).toHaveLength(300_000);
  });
});

describe("a client that comes back", () => {
  const modes = "?stream_mode=messages&stream_mode=messages-tuple&stream_mode=values";

  test("in mid-message has what it had taken back, gets the message so far, and goes on", async () => {
    const { path } = await startTeller("mid", { words: ["one ", "two ", "three"], gates: [1, 2, 3] });
    const url = house.server.url + path + modes;
    const first = await readUntil(url, (frames) => frames.some(({ event }) => event === "messages"));
    const puzzle = new Puzzle();
    for (const frame of first.frames) puzzle.add(frame);
    expect(puzzle.text).toBe("one ");
    gate("mid:1").open();
    const cursor = first.frames.findLast(({ id }) => id !== undefined)?.id ?? "";
    const headers = { "last-event-id": cursor };
    const second = await readUntil(url, (frames) => JSON.stringify(frames).includes("one two "), { headers });
    for (const frame of second.frames) puzzle.add(frame);
    expect(puzzle.steps).toContain("(removed)");
    expect(puzzle.text).toBe("one two ");
    const third = read(new SseSource(url, cursor));
    await until(async () => third.puzzle.text === "one two ");
    gate("mid:2").open();
    await until(async () => third.puzzle.text === "one two three");
    gate("mid:3").open();
    await third.done;
    expect(third.puzzle.text).toBe("one two three");
    expect(toldIn(third.parts, "messages/complete")[0]?.content).toBe("one two three");
  });

  test("after the end gets every frame that has an id byte for byte, and the text once", async () => {
    const { runId, path } = await startTeller("later", { words: ["a", "b"], fails: 1 });
    await house.longhaul.wait(runId);
    const url = house.server.url + path + modes;
    const whole = await readAll(url);
    expect(await readAll(url, { "last-event-id": "-1" })).toBe(whole);
    const puzzle = new Puzzle();
    for (const frame of parseFrames(whole)) puzzle.add(frame);
    expect(puzzle.steps).toEqual(["ab", "ab"]);
    const ids = parseFrames(whole).map(({ id }) => id);
    const last = ids.findLast((id) => id !== undefined);
    for (const id of new Set(ids)) {
      if (id === undefined || id === last) continue;
      const rest = await readAll(url, { "last-event-id": id });
      // What has no id depends on the moment; the others are the same.
      const durable = (text: string) => text.split("\n\n").filter((block) => block.includes("\nid: "));
      expect(durable(whole)).toEqual(expect.arrayContaining(durable(rest)));
      expect(durable(rest).length).toBeGreaterThan(0);
    }
  });

  test("is LangGraph's own, and does so by itself when its server is restarted", async () => {
    const first = await serve({ longhaul: house.longhaul, port: 0, log: silent });
    const input = { words: ["one ", "two ", "three"], gate: "restart-tell", gates: [1, 2] };
    const { parts, puzzle, done } = await start(clientOf(first), "teller", input, ["messages-tuple", "values"]);
    await until(async () => puzzle.text === "one ");
    await first.close();
    const second = await serve({ longhaul: house.longhaul, port: first.port, log: silent });
    gate("restart-tell:1").open();
    await until(async () => puzzle.text === "one two ");
    gate("restart-tell:2").open();
    await done;
    expect(puzzle.text).toBe("one two three");
    expect(parts.filter(({ event }) => event === "values")).toHaveLength(1);
    await second.close();
  });

  test("as a chat page of LangGraph's shows one message, and in the end that of the values", async () => {
    const manager = new StreamManager<{ messages: Told[] }>(new MessageTupleManager(), { throttle: false });
    const { thread_id: threadId } = await house.client.threads.create();
    const input = { words: ["on", "ce"], fails: 1, gate: "page", gates: [2] };
    const shown: string[] = [];
    manager.subscribe(() => {
      const messages = manager.values?.messages ?? [];
      shown.push(messages.map(({ content }) => content).join("|"));
    });
    const source = async () =>
      house.client.runs.stream(threadId, "teller", { input, streamMode: ["messages-tuple", "values"] }) as never;
    const options = {
      getMessages: (values: { messages?: Told[] }) => values.messages ?? [],
      setMessages: (values: object, messages: Told[]) => ({ ...values, messages }),
      initialValues: { messages: [] },
      callbacks: {},
      onSuccess: () => undefined,
      onError: () => undefined,
    };
    const finished = manager.start(source, options as never);
    await until(async () => shown.at(-1) === "ONCE");
    gate("page:2").open();
    await finished;
    expect(shown.at(-1)).toBe("once");
    expect(new Set(shown.filter((text) => text !== ""))).toEqual(
      new Set(["ON", "ONCE", "on", "once"].filter((t) => shown.includes(t))),
    );
  });
});

describe("the journal's own stream", () => {
  test("carries tokens for those who ask, marked and without an id", async () => {
    const { runId } = await startTeller("native-tell", { words: ["a", "b"], gates: [2] });
    const events = `${house.server.url}/runs/${runId}/events`;
    const { frames } = await readUntil(`${events}?tokens=true`, (seen) => JSON.stringify(seen).includes('"text":"'));
    const tokens = frames.filter(({ event }) => event === "tokens");
    expect(tokens[0]).toMatchObject({
      id: undefined,
      data: { kind: "tokens", ephemeral: true, seq: null, key: "tell#1" },
    });
    gate("native-tell:2").open();
    const without = parseFrames(await readAll(events));
    expect(without.map(({ event }) => event)).toEqual(["claimed", "step", "finished"]);
    expect(without.map(({ id }) => id)).toEqual(["1", "2", "3"]);
    expect((await fetch(`${events}?tokens=perhaps`)).status).toBe(422);
  });
});

describe("in other processes", () => {
  const workers: WorkerProcess[] = [];
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.kill();
  });

  test("a worker that is killed in mid-message is replaced, and so are its words", { timeout: 60_000 }, async () => {
    const database = await freshDatabase();
    const module = new URL("slow-teller.ts", import.meta.url);
    const spawn = async () => {
      workers.push(await startWorker({ url: database.url, build: "default", module, settings: { leaseMs: 1_500 } }));
      return workers.at(-1) as WorkerProcess;
    };
    const first = await spawn();
    const longhaul = await connect({ url: database.url, agents: slowTellers, worker: false });
    const server = await serve({ longhaul, port: 0, log: silent });
    const tuples = await start(clientOf(server), "slow-teller", null, ["messages-tuple", "messages", "values"]);
    await until(async () => (tuples.puzzle.text ?? "").includes(`${first.process.pid}-8 `));
    await first.kill();
    const second = await spawn();
    await tuples.done;
    const { text } = (tuples.parts.at(-1) as Part).data as { text: string };
    expect(text).toContain(`${second.process.pid}-59 `);
    expect(text).not.toContain(`${first.process.pid}-`);
    expect(tuples.puzzle.text).toBe(text);
    expect(tuples.puzzle.steps).toContain("(removed)");
    expect(toldIn(tuples.parts, "messages/complete").map(({ content }) => content)).toEqual([text]);
    // It came piece by piece, not all at once at the end.
    expect(
      new Set(tuples.puzzle.steps.filter((step) => step.startsWith(`${second.process.pid}-`))).size,
    ).toBeGreaterThan(8);
    await server.close();
    await longhaul.close();
    await database.drop();
  });
});

/** Frames from a cursor to the end, as they come. */
class SseSource implements AsyncIterable<Part> {
  readonly #url: string;
  readonly #cursor: string;

  constructor(url: string, cursor: string) {
    this.#url = url;
    this.#cursor = cursor;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Part> {
    const response = await fetch(this.#url, { headers: { "last-event-id": this.#cursor } });
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      rest += decoder.decode(chunk as Uint8Array, { stream: true });
      const end = rest.lastIndexOf("\n\n") + 2;
      if (end < 2) continue;
      for (const { event, data } of parseFrames(rest.slice(0, end))) yield { event, data };
      rest = rest.slice(end);
    }
  }
}
