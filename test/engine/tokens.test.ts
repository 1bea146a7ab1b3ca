// What steps write while they run: readers here and elsewhere get it live, and the record replaces it.
import { describe, expect, test } from "vitest";
import type { RunEvent } from "../../src/domain/entry.ts";
import { textOf } from "../../src/domain/tokens.ts";
import { agent, type Longhaul, type TokenEvent, type TokenPart } from "../../src/index.ts";
import {
  type Gate,
  gate,
  journalOf,
  rejection,
  type Stage,
  until,
  untilStatus,
  useStage,
} from "../support/longhaul.ts";

const stage = useStage();

type Seen = RunEvent | TokenEvent;

/** Reads a run to its end beside the test. */
class Reader {
  readonly seen: Seen[] = [];
  readonly done: Promise<void>;
  /** The messages as a reader has them now. */
  readonly messages = new Map<string, string>();

  constructor(longhaul: Longhaul, runId: string, after = 0) {
    this.done = this.#read(longhaul, runId, after);
  }

  get tokens(): TokenEvent[] {
    return this.seen.filter((event) => event.kind === "tokens");
  }

  async #read(longhaul: Longhaul, runId: string, after: number): Promise<void> {
    for await (const event of longhaul.stream(runId, { after, tokens: true })) {
      this.seen.push(event);
      if (event.kind !== "tokens") continue;
      const before = event.reset ? "" : (this.messages.get(event.key) ?? "");
      this.messages.set(event.key, before + event.text);
    }
  }
}

/** Writes what it is told, piece by piece, and stops before each gate. */
function writer(pieces: readonly (TokenPart | Gate)[], value?: unknown) {
  return agent({
    name: "writer",
    run: (ctx) =>
      ctx.step("answer", async ({ stream }) => {
        let text = "";
        for (const piece of pieces) {
          if (isGate(piece)) await piece.opened;
          else {
            stream.write(piece);
            text += textOf(piece);
          }
        }
        return value === undefined ? text : value;
      }),
  });
}

function isGate(piece: TokenPart | Gate): piece is Gate {
  return typeof piece === "object" && "opened" in piece;
}

const blocksOf = (runId: string) =>
  stage.db.query<{ key: string; body: string }>("select * from longhaul.tokens where run_id = $1 order by epoch, n", [
    runId,
  ]);

/** Readers beside the worker, and in a process that only sees the database. */
const PLACES: readonly (readonly [string, (stage: Stage, worker: Longhaul) => Longhaul | Promise<Longhaul>])[] = [
  ["in the worker's process", (_, worker) => worker],
  ["elsewhere", (stage) => stage.client()],
];

describe.each(PLACES)("a reader %s", (_place, readerOf) => {
  test("has every part before the step ends, and the record after", async () => {
    const end = gate();
    const parts = ["Hel", "lo ", "wor", "ld", { type: "source", url: "https://a.example" }];
    const worker = await stage.worker([writer([...parts, end])]);
    const run = await worker.submit("writer");
    const reader = new Reader(await readerOf(stage, worker), run.runId);
    await until(() => reader.messages.get("answer#1") === "Hello world" && reader.tokens.at(-1)?.last === 12);
    const all = reader.tokens.flatMap((event) => event.parts);
    expect(all.at(-1)).toEqual({ type: "source", url: "https://a.example" });
    expect(reader.tokens[0]).toMatchObject({
      runId: run.runId,
      kind: "tokens",
      ephemeral: true,
      seq: null,
      key: "answer#1",
      attempt: 1,
      reset: true,
    });
    expect(reader.seen.map(({ kind }) => kind)).not.toContain("step");
    end.open();
    await reader.done;
    const step = reader.seen.find(({ kind }) => kind === "step") as RunEvent;
    expect(step.data).toMatchObject({ attempts: 1, value: "Hello world", tokens: { last: 12 } });
    expect(reader.seen.at(-1)?.kind).toBe("finished");
  });

  test("that comes in mid-message has the message so far, and then goes on", async () => {
    const [come, end] = [gate(), gate()];
    const worker = await stage.worker([writer(["one ", "two ", come, "three", end])]);
    const run = await worker.submit("writer");
    const reading = await readerOf(stage, worker);
    const early = new Reader(reading, run.runId);
    await until(() => early.messages.get("answer#1") === "one two ");
    const late = new Reader(reading, run.runId, early.seen.findLast(({ seq }) => seq !== null)?.seq ?? 0);
    await until(() => late.messages.get("answer#1") === "one two ");
    expect(late.tokens[0]?.reset).toBe(true);
    come.open();
    await until(
      () => late.messages.get("answer#1") === "one two three" && early.messages.get("answer#1") === "one two three",
    );
    expect(late.tokens.filter(({ reset }) => reset)).toHaveLength(1);
    end.open();
    await Promise.all([early.done, late.done]);
    const cursor = late.seen.find(({ kind }) => kind === "step")?.seq as number;
    const after = new Reader(reading, run.runId, cursor);
    await after.done;
    expect(after.tokens).toEqual([]);
  });

  test("sees the tokens of a failed attempt replaced by those of the next", async () => {
    const [fail, end] = [gate(), gate()];
    const flaky = agent({
      name: "writer",
      run: (ctx) =>
        ctx.step("answer", { retry: { initialMs: 1 } }, async ({ stream, attempt }) => {
          stream.write(attempt === 1 ? "wrong be" : "right");
          if (attempt === 1) {
            await fail.opened;
            throw new Error("broke off");
          }
          await end.opened;
          return "right";
        }),
    });
    const worker = await stage.worker([flaky]);
    const run = await worker.submit("writer");
    const reading = await readerOf(stage, worker);
    const reader = new Reader(reading, run.runId);
    await until(() => reader.messages.get("answer#1") === "wrong be");
    fail.open();
    await until(() => reader.messages.get("answer#1") === "right");
    expect(reader.tokens.map(({ attempt, reset }) => [attempt, reset])).toEqual([
      [1, true],
      [2, true],
    ]);
    const late = new Reader(reading, run.runId);
    await until(() => late.messages.get("answer#1") === "right");
    expect(late.tokens).toHaveLength(1);
    end.open();
    await Promise.all([reader.done, late.done]);
  });

  test("sees what a step takes back itself replaced by what follows", async () => {
    const [back, end] = [gate(), gate()];
    const fickle = agent({
      name: "writer",
      run: (ctx) =>
        ctx.step("answer", async ({ stream }) => {
          stream.write("from the first model");
          await back.opened;
          stream.reset();
          stream.write("from the second");
          await end.opened;
          return { text: "from the second" };
        }),
    });
    const worker = await stage.worker([fickle]);
    const run = await worker.submit("writer");
    const reader = new Reader(await readerOf(stage, worker), run.runId);
    await until(() => reader.messages.get("answer#1") === "from the first model");
    back.open();
    await until(() => reader.messages.get("answer#1") === "from the second");
    expect(reader.tokens.at(-1)).toMatchObject({ reset: true, attempt: 1, last: 15 });
    end.open();
    await reader.done;
    expect(reader.seen.find(({ kind }) => kind === "message")).toBeUndefined();
  });

  test("has the messages of parallel steps apart, and their records in time", async () => {
    const [left, right] = [gate(), gate()];
    const both = agent({
      name: "writer",
      run: (ctx) =>
        ctx.all({
          left: (c) =>
            c.step("say", async ({ stream }) => {
              stream.write("left");
              await left.opened;
              return "left";
            }),
          right: (c) =>
            c.step("say", async ({ stream }) => {
              for (let i = 0; !isOpen(right); i++) {
                stream.write(`${i} `);
                await new Promise((resolve) => setTimeout(resolve, 1));
              }
            }),
        }),
    });
    const worker = await stage.worker([both]);
    const run = await worker.submit("writer");
    const reader = new Reader(await readerOf(stage, worker), run.runId);
    await until(() => [...reader.messages.keys()].length === 2);
    left.open();
    // The other one talks on and on: the record comes nevertheless.
    await until(() => reader.seen.some(({ kind }) => kind === "step"));
    right.open();
    await reader.done;
    const told = [...reader.messages].find(([key]) => key.includes("right"))?.[1] ?? "";
    const said = reader.seen.find(({ kind }) => kind === "message") as RunEvent;
    expect((said.data as { text: string }).text.startsWith(told)).toBe(true);
  });

  test("is not told of tokens when it did not ask for them", async () => {
    const worker = await stage.worker([writer(["a", "b"])]);
    const run = await worker.submit("writer");
    const kinds: string[] = [];
    for await (const { kind } of (await readerOf(stage, worker)).stream(run.runId)) kinds.push(kind);
    expect(kinds).toEqual(["claimed", "step", "finished"]);
  });
});

const opened = new WeakSet<Gate>();
function isOpen(door: Gate): boolean {
  void door.opened.then(() => opened.add(door));
  return opened.has(door);
}

describe("the record of a step that has streamed", () => {
  const deltas: TokenPart[] = [
    { type: "text-start", id: "0" },
    { type: "text-delta", id: "0", delta: "a" },
    { type: "text-delta", id: "0", delta: "b" },
    { type: "tool-input-delta", id: "t", delta: "{}" },
  ];

  test.each([
    ["a text", ["a", "b"], "ab"],
    ["an object with a text", ["a", "b"], { text: "ab", usage: 1 }],
    ["an object with a content", ["ab"], { role: "assistant", content: "ab" }],
    [
      "what a language model gives",
      deltas,
      {
        content: [
          { type: "reasoning", text: "x" },
          { type: "text", text: "ab" },
        ],
      },
    ],
  ])("is its value when that is %s", async (_what, pieces, value) => {
    const worker = await stage.worker([writer(pieces, value)]);
    const run = await worker.submit("writer");
    expect(await run.result()).toEqual(value);
    const entries = await journalOf(stage.db, run.runId);
    expect(entries.map(({ kind }) => kind)).toEqual([1, 10, 3]);
    expect(JSON.parse(entries[1]?.body ?? "")).toMatchObject({ n: 1, t: pieces === deltas ? 5 : 2 });
  });

  test.each([
    ["says something else", { text: "AB" }],
    ["says nothing", 7],
  ])("comes after one with the text when its value %s", async (_what, value) => {
    const worker = await stage.worker([writer(["a", "b"], value)]);
    const run = await worker.submit("writer");
    expect(await run.result()).toEqual(value);
    const entries = await journalOf(stage.db, run.runId);
    expect(entries.map(({ kind, key }) => [kind, key])).toEqual([
      [1, null],
      [20, "answer#1"],
      [10, "answer#1"],
      [3, null],
    ]);
    expect(JSON.parse(entries[1]?.body ?? "")).toEqual({ n: 1, t: 2, v: "ab" });
    // A replay reads over it.
    const again = await worker.retry(run.runId, { by: "ann" });
    expect(await again.result()).toEqual(value);
    expect((await journalOf(stage.db, again.runId)).map(({ kind }) => kind)).toEqual([20, 10, 1, 3]);
  });

  test("is the failure alone when it fails", async () => {
    const failing = agent({
      name: "writer",
      run: (ctx) =>
        ctx.step("answer", { retry: false }, ({ stream }) => {
          stream.write("half a sen");
          throw new Error("broke off");
        }),
    });
    const worker = await stage.worker([failing]);
    const run = await worker.submit("writer");
    expect((await rejection(run.result())).code).toBe("RUN_FAILED");
    expect((await journalOf(stage.db, run.runId)).map(({ kind }) => kind)).toEqual([1, 10, 3]);
  });

  test("refuses a part that cannot be kept, like a value", async () => {
    const odd = agent({
      name: "writer",
      run: (ctx) => ctx.step("answer", { retry: false }, ({ stream }) => stream.write({ type: "x", f: () => 1 })),
    });
    const run = await (await stage.worker([odd])).submit("writer");
    expect((await rejection(run.result())).details).toMatchObject({ code: "VALUE_NOT_SERIALIZABLE" });
  });

  test("comes back unchanged, whatever the text is and wherever it was cut", async () => {
    const end = gate();
    const text = `\u0000"\\ \ud800 ${"😀".repeat(3)}\n`;
    const worker = await stage.worker([writer([...text.split(""), end])]);
    const run = await worker.submit("writer");
    const reader = new Reader(await stage.client(), run.runId);
    await until(() => reader.messages.get("answer#1") === text);
    end.open();
    await reader.done;
    expect(await run.result()).toBe(text);
  });
});

describe("blocks", () => {
  test("are gone soon after the record, and a stream that nobody wrote to leaves none", async () => {
    const end = gate();
    const worker = await stage.worker([writer(["a", end])]);
    const run = await worker.submit("writer");
    await until(async () => (await blocksOf(run.runId)).length === 1);
    end.open();
    await run.result();
    await until(async () => (await blocksOf(run.runId)).length === 0);
  });

  test("of a worker that was lost are dead: the next worker's replace them", async () => {
    const end = gate();
    let starts = 0;
    const stubborn = agent({
      name: "writer",
      run: (ctx) =>
        ctx.step("answer", async ({ stream }) => {
          starts += 1;
          const who = starts === 1 ? "old" : "new";
          // Goes on although it was told to stop.
          for (let i = 0; i < 1_000 && !isOpen(end); i++) {
            stream.write(`${who} `);
            await new Promise((resolve) => setTimeout(resolve, 2));
          }
        }),
    });
    const first = await stage.worker([stubborn], { leaseMs: 60_000 });
    const run = await first.submit("writer");
    const elsewhere = await stage.client();
    const reader = new Reader(elsewhere, run.runId);
    await until(() => reader.messages.get("answer#1")?.startsWith("old old"));
    const second = await stage.worker([stubborn]);
    await stage.takeOver(run.runId);
    await until(() => reader.messages.get("answer#1")?.startsWith("new new"));
    expect(reader.messages.get("answer#1")).not.toContain("old");
    const late = new Reader(elsewhere, run.runId);
    await until(() => late.messages.get("answer#1")?.startsWith("new"));
    const epochs = await stage.db.query("select distinct epoch from longhaul.tokens where run_id = $1", [run.runId]);
    expect(epochs).toHaveLength(1);
    end.open();
    await Promise.all([reader.done, late.done]);
    expect(late.tokens.some(({ text }) => text.includes("old"))).toBe(false);
    void second;
  });

  test("that nobody will delete are swept", async () => {
    const end = gate();
    const worker = await stage.worker([writer(["a", end])]);
    const run = await worker.submit("writer");
    await until(async () => (await blocksOf(run.runId)).length === 1);
    const sweep = () => stage.db.query<{ n: number }>("select longhaul.sweep_tokens(0) as n");
    expect((await sweep())[0]?.n).toBe(0);
    await stage.takeOver(run.runId);
    await stage.db.query("update longhaul.tokens set at = at - interval '1 hour' where run_id = $1", [run.runId]);
    expect((await sweep())[0]?.n).toBe(1);
    end.open();
    await run.result();
  });
});

describe("when pieces are missing", () => {
  test("a reader that comes late waits for the record rather than show a text with a hole", async () => {
    const [more, end] = [gate(), gate()];
    const worker = await stage.worker([writer(["one ", more, "two ", end, "three"])]);
    const run = await worker.submit("writer");
    const elsewhere = await stage.client();
    const early = new Reader(elsewhere, run.runId);
    await until(() => early.messages.get("answer#1") === "one ");
    more.open();
    await until(() => early.messages.get("answer#1") === "one two ");
    // As after a crash of the database, which empties the table.
    await stage.db.query("delete from longhaul.tokens where run_id = $1 and pos = 0", [run.runId]);
    const late = new Reader(elsewhere, run.runId);
    await until(() => late.seen.length > 0);
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(late.tokens).toEqual([]);
    end.open();
    await Promise.all([early.done, late.done]);
    expect(late.seen.find(({ kind }) => kind === "step")).toMatchObject({ data: { value: "one two three" } });
  });

  test("because connections were cut, they are sent again", async () => {
    const end = gate();
    const steady = agent({
      name: "writer",
      run: (ctx) =>
        ctx.step("answer", async ({ stream }) => {
          for (let i = 0; i < 200; i++) {
            stream.write(`${i} `);
            await new Promise((resolve) => setTimeout(resolve, 4));
          }
          await end.opened;
        }),
    });
    const worker = await stage.worker([steady]);
    const run = await worker.submit("writer");
    const reader = new Reader(await stage.client(), run.runId);
    const numbers = (): string[] => (reader.messages.get("answer#1") ?? "").trim().split(" ");
    for (const least of [20, 60, 100, 140]) {
      await until(() => numbers().length > least);
      await stage.db.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
      );
    }
    await until(() => numbers().length === 200);
    expect(numbers()).toEqual(Array.from({ length: 200 }, (_, i) => String(i)));
    end.open();
    await reader.done;
  });
});

describe("a flood", () => {
  test("of a writer without pause is streamed to a bound, and its record is whole", async () => {
    const end = gate();
    const piece = "0123456789abcdef".repeat(64);
    const flood = agent({
      name: "writer",
      run: (ctx) =>
        ctx.step("answer", async ({ stream }) => {
          for (let i = 0; i < 3_000; i++) stream.write(piece);
          await end.opened;
          return piece.repeat(3_000);
        }),
    });
    const worker = await stage.worker([flood]);
    const run = await worker.submit("writer");
    const reader = new Reader(await stage.client(), run.runId);
    await until(() => (reader.messages.get("answer#1")?.length ?? 0) > 1_000_000);
    const rows = await stage.db.query<{ chars: number; longest: number }>(
      "select sum(length(body))::int as chars, max(length(body)) as longest from longhaul.tokens where run_id = $1",
      [run.runId],
    );
    expect(rows[0]?.chars).toBeLessThan(1_200_000);
    expect(rows[0]?.longest).toBeLessThan(40_000);
    end.open();
    await reader.done;
    const step = reader.seen.find(({ kind }) => kind === "step") as RunEvent;
    const { value } = step.data as { value: string };
    expect(value).toHaveLength(3_000 * 1_024);
    expect(value.startsWith(reader.messages.get("answer#1") ?? "?")).toBe(true);
    expect(reader.seen.map(({ kind }) => kind)).not.toContain("message");
  });

  test("does not pile up for a reader that does not read: it gets all when it does", async () => {
    const end = gate();
    const pieces = Array.from({ length: 500 }, (_, i) => `${i} `.repeat(20));
    const worker = await stage.worker([writer([...pieces, end])]);
    const run = await worker.submit("writer");
    await untilStatus(worker, run.runId, "running");
    const stream = (await stage.client()).stream(run.runId, { tokens: true })[Symbol.asyncIterator]();
    let text = "";
    // The first of the tokens, then nothing for a while.
    for (;;) {
      const { value } = await stream.next();
      if (value.kind !== "tokens") continue;
      text += value.text;
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    while (text.length < pieces.join("").length) text += ((await stream.next()).value as TokenEvent).text;
    expect(text).toBe(pieces.join(""));
    await stream.return?.(undefined);
    end.open();
    await run.result();
  });
});
