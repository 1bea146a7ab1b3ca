// LangGraph's own client against a real server: threads, runs, streams, waits, cancels, lists.
import { v5 as uuidv5 } from "uuid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gate } from "./agents.ts";
import { collect, type House, openHouse, until } from "./harness.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());

const idOf = (name: string): string => uuidv5(name, "6ba7b821-9dad-11d1-80b4-00c04fd430c8");

describe("assistants", () => {
  test("every agent is one, found by name and by LangGraph's id", async () => {
    const found = await house.client.assistants.search({ limit: 100 });
    expect(found.map((assistant) => assistant.graph_id)).toContain("echo");
    const one = await house.client.assistants.get(idOf("echo"));
    expect(one).toMatchObject({ assistant_id: idOf("echo"), graph_id: "echo", metadata: { created_by: "system" } });
    expect(await house.client.assistants.get("echo")).toEqual(one);
  });

  test("are searched by graph, name and metadata, page by page", async () => {
    const { assistants } = house.client;
    expect(await assistants.search({ graphId: "echo" })).toHaveLength(1);
    expect((await assistants.search({ name: "STEP" })).map((a) => a.name)).toEqual(["stepper"]);
    expect(await assistants.search({ metadata: { created_by: "nobody" } })).toEqual([]);
    const first = await assistants.search({ limit: 2, sortBy: "name", sortOrder: "asc", includePagination: true });
    const second = await assistants.search({ limit: 2, offset: Number(first.next), sortBy: "name", sortOrder: "asc" });
    const names = [...first.assistants, ...second].map((a) => a.name);
    expect(names).toEqual(["asker", "chatter", "echo", "failing"]);
  });
});

describe("threads", () => {
  test("are created, found, and not created twice", async () => {
    const { threads } = house.client;
    const thread = await threads.create({ metadata: { topic: "ships" } });
    expect(thread).toMatchObject({ status: "idle", metadata: { topic: "ships" } });
    expect(await threads.get(thread.thread_id)).toMatchObject({ thread_id: thread.thread_id, status: "idle" });
    await expect(threads.create({ threadId: thread.thread_id })).rejects.toThrow(/409.*THREAD_EXISTS/);
    const again = await threads.create({ threadId: thread.thread_id, ifExists: "do_nothing" });
    expect(again.metadata).toMatchObject({ topic: "ships" });
  });

  test("without runs have an empty state", async () => {
    const { thread_id: threadId } = await house.client.threads.create();
    expect(await house.client.threads.getState(threadId)).toMatchObject({
      values: {},
      next: [],
      tasks: [],
      checkpoint: null,
    });
    expect(await house.client.threads.getHistory(threadId)).toEqual([]);
  });

  test("share their state among their runs", async () => {
    const { threads, runs } = house.client;
    const { thread_id: threadId } = await threads.create();
    await runs.wait(threadId, "stateful", { input: { text: "one" } });
    const values = await runs.wait(threadId, "stateful", { input: { text: "two" } });
    expect(values).toEqual({ messages: [{ text: "one" }, { text: "two" }] });
    expect((await threads.getState(threadId)).values).toEqual(values);
    expect((await threads.getHistory(threadId)).map((state) => state.values)).toEqual([values]);
    expect(await threads.get(threadId)).toMatchObject({ values, status: "idle", metadata: { graph_id: "stateful" } });
  });

  test("of agents without state show what the last run gave", async () => {
    const { thread_id: threadId } = await house.client.threads.create();
    await house.client.runs.wait(threadId, "echo", { input: { n: 7 } });
    expect((await house.client.threads.getState(threadId)).values).toEqual({ echo: { n: 7 } });
  });
});

describe("runs", () => {
  test("go in the background and are read back", async () => {
    const { threads, runs } = house.client;
    const { thread_id: threadId } = await threads.create();
    const created = await runs.create(threadId, idOf("echo"), {
      input: { q: 1 },
      metadata: { who: "me" },
      config: { configurable: { model: "small" } },
      context: { user: "u1" },
    });
    expect(created).toMatchObject({ thread_id: threadId, assistant_id: idOf("echo"), multitask_strategy: "enqueue" });
    expect(await runs.join(threadId, created.run_id)).toEqual({ echo: { q: 1 } });
    const run = await runs.get(threadId, created.run_id);
    expect(run).toMatchObject({
      run_id: created.run_id,
      status: "success",
      metadata: { who: "me" },
      kwargs: { config: { configurable: { model: "small" } }, context: { user: "u1" } },
    });
  });

  test("are waited for", async () => {
    const { thread_id: threadId } = await house.client.threads.create();
    let seen: unknown;
    const values = await house.client.runs.wait(threadId, "echo", {
      input: { n: 1 },
      onRunCreated: (run) => {
        seen = run.thread_id;
      },
    });
    expect(values).toEqual({ echo: { n: 1 } });
    expect(seen).toBe(threadId);
    await expect(house.client.runs.wait(threadId, "failing", { input: null })).rejects.toThrow(
      "RangeError: no such page",
    );
    expect(await house.client.runs.wait(threadId, "failing", { input: null, raiseError: false })).toEqual({
      __error__: { error: "RangeError", message: "no such page" },
    });
  });

  test("stream their steps, events and values", async () => {
    const { thread_id: threadId } = await house.client.threads.create();
    const parts = await collect(
      house.client.runs.stream(threadId, "stepper", {
        input: { steps: 2 },
        streamMode: ["values", "updates", "custom"],
      }),
    );
    expect(parts.map(({ event, data }) => [event, data])).toEqual([
      ["metadata", { run_id: expect.any(String), attempt: 1 }],
      ["updates", { s0: 0 }],
      ["custom", { name: "progress", payload: { done: 0 } }],
      ["updates", { s1: 1 }],
      ["custom", { name: "progress", payload: { done: 1 } }],
      ["values", { steps: 2 }],
    ]);
    const ids = parts.map(({ id }) => Number(id));
    expect(ids[0]).toBe(0);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
  });

  test("stream what was asked for and nothing else", async () => {
    const { thread_id: threadId } = await house.client.threads.create();
    const eventsOf = async (
      streamMode: "values" | "updates" | "custom" | "tasks" | "debug" | "messages",
    ): Promise<string[]> => {
      const parts = await collect(house.client.runs.stream(threadId, "stepper", { input: { steps: 1 }, streamMode }));
      return parts.map(({ event }) => event);
    };
    expect(await eventsOf("values")).toEqual(["metadata", "values"]);
    expect(await eventsOf("updates")).toEqual(["metadata", "updates"]);
    expect(await eventsOf("custom")).toEqual(["metadata", "custom"]);
    expect(await eventsOf("tasks")).toEqual(["metadata", "tasks"]);
    expect(await eventsOf("messages")).toEqual(["metadata"]);
    expect(new Set(await eventsOf("debug"))).toEqual(new Set(["metadata", "debug"]));
  });

  test("that fail end their stream with an error, and have the status of one", async () => {
    const { thread_id: threadId } = await house.client.threads.create();
    const parts = await collect(house.client.runs.stream(threadId, "failing", { input: null }));
    expect(parts.at(-1)).toMatchObject({ event: "error", data: { error: "RangeError", message: "no such page" } });
    const [run] = await house.client.runs.list(threadId);
    expect(run?.status).toBe("error");
    expect((await house.client.threads.get(threadId)).status).toBe("error");
  });

  test("are joined in mid-stream and after their end, from the start", async () => {
    const { threads, runs } = house.client;
    const { thread_id: threadId } = await threads.create();
    const { run_id: runId } = await runs.create(threadId, "stepper", {
      input: { steps: 3, gate: "joined", gates: [1] },
      streamMode: ["updates", "values"],
    });
    await until(async () => (await house.longhaul.get(runId))?.status === "running");
    const reading = collect(runs.joinStream(threadId, runId));
    gate("joined:1").open();
    const live = await reading;
    expect(live.map(({ event }) => event)).toEqual(["metadata", "updates", "updates", "updates", "values"]);
    expect(await collect(runs.joinStream(threadId, runId, { lastEventId: "-1" }))).toEqual(live);
    const second = Number(live[1]?.id);
    expect(await collect(runs.joinStream(threadId, runId, { lastEventId: String(second) }))).toEqual(live.slice(2));
    const only = await collect(runs.joinStream(threadId, runId, { streamMode: "values" }));
    expect(only.map(({ event }) => event)).toEqual(["metadata", "values"]);
  });

  test("give what JSON has no word for in a plain form", async () => {
    const { thread_id: threadId } = await house.client.threads.create();
    const expected = {
      at: "1970-01-01T00:00:00.000Z",
      big: "10",
      map: { a: 1 },
      bytes: "AQID",
      half: "\ud800",
      error: { name: "Error", message: "kept" },
      forged: "x\n\nevent: error\ndata: {}\n\n",
    };
    expect(await house.client.runs.wait(threadId, "odd")).toEqual(expected);
    const parts = await collect(house.client.runs.stream(threadId, "odd"));
    expect(parts.map(({ event }) => event)).toEqual(["metadata", "values"]);
    expect(parts[1]?.data).toEqual(expected);
  });

  test("may give a value that is no object", async () => {
    const { thread_id: threadId } = await house.client.threads.create();
    const run = await house.client.runs.create(threadId, "speaker");
    expect(await house.client.runs.join(threadId, run.run_id)).toBe("just text");
  });

  test("without a thread are their own: same client, same calls", async () => {
    const { runs } = house.client;
    expect(await runs.wait(null, "echo", { input: { n: 1 } })).toEqual({ echo: { n: 1 } });
    const parts = await collect(runs.stream(null, "echo", { input: { n: 2 } }));
    expect(parts.at(-1)?.data).toEqual({ echo: { n: 2 } });
    const run = await runs.create(null as unknown as string, "echo", { input: { n: 3 } });
    expect(await runs.join(run.thread_id, run.run_id)).toEqual({ echo: { n: 3 } });
    expect(await runs.get(run.thread_id, run.run_id)).toMatchObject({ status: "success" });
    expect((await collect(runs.joinStream(null, run.run_id))).at(-1)?.data).toEqual({ echo: { n: 3 } });
  });

  test("start later when they are told to", async () => {
    const { runs, threads } = house.client;
    const { thread_id: threadId } = await threads.create();
    const run = await runs.create(threadId, "echo", { input: { n: 1 }, afterSeconds: 3_600 });
    expect(run.status).toBe("pending");
    expect(Date.parse(run.created_at)).toBeGreaterThan(Date.now() + 3_000_000);
    await runs.cancel(threadId, run.run_id, true);
    expect((await runs.get(threadId, run.run_id)).status).toBe("interrupted");
  });

  test("create their thread when asked to, and refuse an unknown one otherwise", async () => {
    const threadId = crypto.randomUUID();
    await expect(house.client.runs.create(threadId, "echo")).rejects.toThrow(/404.*THREAD_NOT_FOUND/);
    await house.client.runs.wait(threadId, "echo", { input: { n: 1 }, ifNotExists: "create" });
    expect((await house.client.threads.get(threadId)).status).toBe("idle");
  });
});

describe("several runs on one thread", () => {
  const busy = async (door: string) => {
    const { thread_id: threadId } = await house.client.threads.create();
    const first = await house.client.runs.create(threadId, "stepper", { input: { steps: 1, gate: door, gates: [0] } });
    await until(async () => (await house.longhaul.get(first.run_id))?.status === "running");
    return { threadId, first };
  };

  test("enqueue by default, in order", async () => {
    const { threadId, first } = await busy("enqueue");
    const second = await house.client.runs.create(threadId, "echo", { input: { n: 2 } });
    expect(second.status).toBe("pending");
    expect((await house.client.threads.get(threadId)).status).toBe("busy");
    gate("enqueue:0").open();
    expect(await house.client.runs.join(threadId, second.run_id)).toEqual({ echo: { n: 2 } });
    expect((await house.client.runs.get(threadId, first.run_id)).status).toBe("success");
  });

  test("reject with 409", async () => {
    const { threadId } = await busy("reject");
    const refused = house.client.runs.create(threadId, "echo", { multitaskStrategy: "reject" });
    await expect(refused).rejects.toThrow(/409.*already running a task.*multitask strategy/);
    gate("reject:0").open();
  });

  test("interrupt the active one", async () => {
    const { threadId, first } = await busy("interrupt");
    const second = await house.client.runs.create(threadId, "echo", {
      input: { n: 2 },
      multitaskStrategy: "interrupt",
    });
    expect(await house.client.runs.join(threadId, second.run_id)).toEqual({ echo: { n: 2 } });
    expect((await house.client.runs.get(threadId, first.run_id)).status).toBe("interrupted");
  });

  test("do not roll back yet, and say so", async () => {
    const { thread_id: threadId } = await house.client.threads.create();
    const refused = house.client.runs.create(threadId, "echo", { multitaskStrategy: "rollback" });
    await expect(refused).rejects.toThrow(/422.*NOT_SUPPORTED/);
  });

  test("are listed newest first, by page and by status", async () => {
    const { threads, runs } = house.client;
    const { thread_id: threadId } = await threads.create();
    const made: string[] = [];
    for (let i = 0; i < 5; i++) {
      const run = await runs.create(threadId, i === 3 ? "failing" : "echo", { input: { n: i } });
      await runs.join(threadId, run.run_id);
      made.unshift(run.run_id);
    }
    const ids = async (options: Parameters<typeof runs.list>[1]): Promise<string[]> =>
      (await runs.list(threadId, options)).map((run) => run.run_id);
    expect(await ids({})).toEqual(made);
    expect(await ids({ limit: 2, offset: 1 })).toEqual(made.slice(1, 3));
    expect(await ids({ status: "error" })).toEqual([made[1]]);
    expect(await ids({ status: "success", limit: 2, offset: 1 })).toEqual([made[2], made[3]]);
    expect(await ids({ status: "timeout" })).toEqual([]);
    expect(await runs.list(threadId, { limit: 1, select: ["run_id"] })).toEqual([{ run_id: made[0] }]);
  });
});

describe("cancel", () => {
  test("stops a running run: the stream ends without an error, the status is interrupted", async () => {
    const { threads, runs } = house.client;
    const { thread_id: threadId } = await threads.create();
    const run = await runs.create(threadId, "stepper", { input: { steps: 1, gate: "cancelled", gates: [0] } });
    await until(async () => (await house.longhaul.get(run.run_id))?.status === "running");
    const reading = collect(runs.joinStream(threadId, run.run_id));
    await runs.cancel(threadId, run.run_id, true);
    expect((await reading).map(({ event }) => event)).toEqual(["metadata"]);
    expect((await runs.get(threadId, run.run_id)).status).toBe("interrupted");
    await runs.cancel(threadId, run.run_id);
  });

  test("stops a sleeping run at once", async () => {
    const { threads, runs } = house.client;
    const { thread_id: threadId } = await threads.create();
    const run = await runs.create(threadId, "sleeper");
    await until(async () => (await house.longhaul.get(run.run_id))?.status === "waiting");
    expect((await runs.get(threadId, run.run_id)).status).toBe("running");
    await runs.cancel(threadId, run.run_id, true);
    expect(await runs.join(threadId, run.run_id)).toMatchObject({ __error__: { error: "RunCancelled" } });
  });
});
