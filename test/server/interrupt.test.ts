// Questions to people through LangGraph's client: interrupts, approvals, several at once, answers that do not fit.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { collect, type House, openHouse, parseFrames, readAll, until } from "./harness.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());

type Interrupts = { __interrupt__: { id: string; value: unknown }[] };

const newThread = async (): Promise<string> => (await house.client.threads.create()).thread_id;

describe("an interrupt", () => {
  test("ends the stream with its value, and is answered by command.resume on the same run", async () => {
    const { runs, threads } = house.client;
    const threadId = await newThread();
    const first = await collect(runs.stream(threadId, "asker", { input: { n: 0 }, streamMode: ["values", "updates"] }));
    expect(first.map(({ event }) => event)).toEqual(["metadata", "updates", "values"]);
    const asked = first.at(-1)?.data as unknown as Interrupts;
    expect(asked).toEqual({
      __interrupt__: [{ id: expect.any(String), value: { question: "name?", input: { n: 0 } } }],
    });

    const thread = await threads.get(threadId);
    expect(thread.status).toBe("interrupted");
    expect(Object.values(thread.interrupts)).toEqual([asked.__interrupt__]);
    const state = await threads.getState(threadId);
    expect(state.next).toHaveLength(1);
    expect(state.tasks[0]?.interrupts).toEqual(asked.__interrupt__);
    const [run] = await runs.list(threadId);
    expect(run?.status).toBe("interrupted");

    const second = await collect(runs.stream(threadId, "asker", { command: { resume: "Ada" } }));
    expect(second.map(({ event }) => event)).toEqual(["metadata", "values"]);
    expect(second[0]?.data).toMatchObject({ run_id: run?.run_id });
    expect(second[1]?.data).toMatchObject({ __interrupt__: [{ value: { question: "age?", name: "Ada" } }] });

    const last = await collect(runs.stream(threadId, "asker", { command: { resume: 36 } }));
    expect(last.at(-1)?.data).toEqual({ first: "Ada", second: 36 });
    expect((await threads.get(threadId)).status).toBe("idle");
    expect(await runs.list(threadId)).toHaveLength(1);
  });

  test("is what wait and join answer", async () => {
    const { runs } = house.client;
    const threadId = await newThread();
    const asked = (await runs.wait(threadId, "asker", { input: { n: 1 } })) as unknown as Interrupts;
    expect(asked.__interrupt__[0]?.value).toEqual({ question: "name?", input: { n: 1 } });
    const [run] = await runs.list(threadId);
    expect(await runs.join(threadId, run?.run_id ?? "")).toEqual(asked);
    const next = (await runs.wait(threadId, "asker", { command: { resume: "Ada" } })) as unknown as Interrupts;
    expect(next.__interrupt__[0]?.value).toEqual({ question: "age?", name: "Ada" });
    expect(await runs.wait(threadId, "asker", { command: { resume: null } })).toEqual({ first: "Ada", second: null });
  });

  test("is answered in the background too: the answer is the same run", async () => {
    const { runs } = house.client;
    const threadId = await newThread();
    await runs.wait(threadId, "asker", { input: { n: 1 } });
    const [waiting] = await runs.list(threadId);
    const resumed = await runs.create(threadId, "asker", { command: { resume: "Ada" } });
    expect(resumed.run_id).toBe(waiting?.run_id);
  });

  test("leaves the same bytes for every later reader", async () => {
    const { runs } = house.client;
    const threadId = await newThread();
    await runs.wait(threadId, "asker", { input: { n: 1 } });
    const [run] = await runs.list(threadId);
    const url = `${house.server.url}/threads/${threadId}/runs/${run?.run_id}/stream?stream_mode=values`;
    const whileAsked = await readAll(url);
    await runs.wait(threadId, "asker", { command: { resume: "Ada" } });
    await runs.wait(threadId, "asker", { command: { resume: 36 } });
    const afterwards = await readAll(url);
    expect(afterwards.startsWith(whileAsked)).toBe(true);
    expect(parseFrames(afterwards).map(({ event }) => event)).toEqual(["metadata", "values", "values", "values"]);
    const cursor = parseFrames(whileAsked).at(-1)?.id ?? "";
    expect(whileAsked + (await readAll(url, { "last-event-id": cursor }))).toBe(afterwards);
  });

  test("of a run without a thread is answered under the run's own id", async () => {
    const { runs } = house.client;
    await runs.wait(null, "asker", { input: { n: 1 } });
    const [run] = await house.longhaul.list({ agent: "asker", limit: 1 });
    const id = run?.runId ?? "";
    const next = (await runs.wait(id, "asker", { command: { resume: "Ada" } })) as unknown as Interrupts;
    expect(next.__interrupt__[0]?.value).toEqual({ question: "age?", name: "Ada" });
  });
});

describe("two interrupts at once", () => {
  test("need a map from id to answer, and may be answered one by one", async () => {
    const { runs } = house.client;
    const threadId = await newThread();
    const { __interrupt__: asked } = (await runs.wait(threadId, "two-at-once")) as unknown as Interrupts;
    expect(asked.map(({ value }) => value).sort()).toEqual(["left?", "right?"]);
    await expect(runs.create(threadId, "two-at-once", { command: { resume: 1 } })).rejects.toThrow(
      /422.*RESUME_AMBIGUOUS/,
    );
    const left = asked.find(({ value }) => value === "left?")?.id ?? "";
    const right = asked.find(({ value }) => value === "right?")?.id ?? "";
    const half = (await runs.wait(threadId, "two-at-once", {
      command: { resume: { [left]: "L" } },
    })) as unknown as Interrupts;
    expect(half.__interrupt__).toEqual([{ id: right, value: "right?" }]);
    const taken = runs.create(threadId, "two-at-once", { command: { resume: { [left]: "again" } } });
    await expect(taken).rejects.toThrow(/409.*APPROVAL_TAKEN/);
    const parts = await collect(runs.stream(threadId, "two-at-once", { command: { resume: { [right]: "R" } } }));
    expect(parts.at(-1)?.data).toEqual({ left: "L", right: "R" });
  });

  test("are answered together by a map", async () => {
    const { runs } = house.client;
    const threadId = await newThread();
    const { __interrupt__: asked } = (await runs.wait(threadId, "two-at-once")) as unknown as Interrupts;
    const resume = Object.fromEntries(asked.map(({ id, value }) => [id, `to ${String(value)}`]));
    expect(await runs.wait(threadId, "two-at-once", { command: { resume } })).toEqual({
      left: "to left?",
      right: "to right?",
    });
  });
});

describe("an approval", () => {
  test.each<[string, unknown, Record<string, unknown>]>([
    ["true", true, { approved: true, args: { draft: "text" } }],
    ["false", false, { approved: false }],
    [
      "an edited answer",
      { approved: true, args: { draft: "better" }, comment: "ok" },
      { approved: true, args: { draft: "better" }, comment: "ok" },
    ],
    ["a decision to approve", { decisions: [{ type: "approve" }] }, { approved: true, args: { draft: "text" } }],
    [
      "a decision to edit",
      { decisions: [{ type: "edit", edited_action: { name: "publish", args: { draft: "new" } } }] },
      { approved: true, args: { draft: "new" } },
    ],
    ["a decision to reject", { decisions: [{ type: "reject", message: "bad" }] }, { approved: false, comment: "bad" }],
    ["an inbox response", [{ type: "accept", args: null }], { approved: true }],
  ])("is answered by %s", async (_, resume, expected) => {
    const threadId = await newThread();
    const asked = (await house.client.runs.wait(threadId, "publisher", {
      input: { draft: "text" },
    })) as unknown as Interrupts;
    expect(asked.__interrupt__[0]?.value).toMatchObject({
      action_requests: [{ name: "publish", args: { draft: "text" } }],
      review_configs: [{ action_name: "publish", allowed_decisions: ["approve", "edit", "reject"] }],
    });
    const values = await house.client.runs.wait(threadId, "publisher", { command: { resume } });
    expect(values).toMatchObject({ ...expected, by: "local" });
  });

  test("is not answered by something else", async () => {
    const threadId = await newThread();
    await house.client.runs.wait(threadId, "publisher", { input: { draft: "text" } });
    const wrong = house.client.runs.create(threadId, "publisher", { command: { resume: "perhaps" } });
    await expect(wrong).rejects.toThrow(/422.*command\.resume/);
  });
});

describe("a resume that fits nothing is refused", () => {
  test("no question is open", async () => {
    const threadId = await newThread();
    const idle = house.client.runs.create(threadId, "asker", { command: { resume: 1 } });
    await expect(idle).rejects.toThrow(/409.*NOTHING_TO_RESUME/);
    const sleeping = await house.client.runs.create(threadId, "sleeper");
    await until(async () => (await house.longhaul.get(sleeping.run_id))?.status === "waiting");
    await expect(house.client.runs.create(threadId, "sleeper", { command: { resume: 1 } })).rejects.toThrow(
      /409.*NOTHING_TO_RESUME/,
    );
  });

  test("another agent, another run's question, an unknown thread", async () => {
    const [mine, other] = [await newThread(), await newThread()];
    await house.client.runs.wait(mine, "asker", { input: { n: 1 } });
    const { __interrupt__: asked } = (await house.client.runs.wait(other, "asker", {
      input: { n: 2 },
    })) as unknown as Interrupts;
    const resume = { [asked[0]?.id ?? ""]: "x" };
    await expect(house.client.runs.create(mine, "asker", { command: { resume } })).rejects.toThrow(
      /404.*APPROVAL_NOT_FOUND/,
    );
    await expect(house.client.runs.create(mine, "echo", { command: { resume: 1 } })).rejects.toThrow(
      /422.*assistant_id/,
    );
    const nowhere = house.client.runs.create(crypto.randomUUID(), "asker", { command: { resume: 1 } });
    await expect(nowhere).rejects.toThrow(/404.*THREAD_NOT_FOUND/);
  });
});
