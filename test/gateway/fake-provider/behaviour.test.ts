// How the fake provider is told what to do, when it answers, and what it remembers: rules, chance, latency, log, other processes.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import type { Behaviour } from "../../support/fake-provider/behaviour.ts";
import { startFakeProvider } from "../../support/fake-provider/fake-provider.ts";
import {
  controlOf,
  type FakeProviderProcess,
  startFakeProviderProcess,
} from "../../support/fake-provider/fake-provider-process.ts";
import type { FakeProvider } from "../../support/fake-provider/handle.ts";
import { sample } from "../../support/fake-provider/sample.ts";
import { FAKE_KEY } from "../../support/fake-provider/settings.ts";

let fake: FakeProvider | undefined;
let other: FakeProviderProcess | undefined;
afterEach(async () => {
  await fake?.close();
  await other?.stop();
  fake = other = undefined;
});

type Base = { readonly urls: FakeProvider["urls"]; readonly origin: string };

const chatBody = (content: string, more: object = {}) =>
  JSON.stringify({ model: "gpt-5-mini", messages: [{ role: "user", content }], ...more });
const chat = (at: Base, content: string, more: object = {}, headers: Record<string, string> = {}) =>
  fetch(`${at.urls.openai}/chat/completions`, {
    method: "POST",
    body: chatBody(content, more),
    headers: { authorization: `Bearer ${FAKE_KEY}`, "content-type": "application/json", ...headers },
  });
// biome-ignore lint/suspicious/noExplicitAny: the tests look at what is there.
const json = async (response: Response | Promise<Response>): Promise<any> => (await response).json();
const textOf = async (response: Response) => (await json(response)).choices?.[0]?.message.content;

describe("rules", () => {
  it("hold for what they name, so often as they say, and in their order", async () => {
    fake = await startFakeProvider({
      behaviour: {
        reply: { text: "otherwise" },
        rules: [
          { when: { contains: "red" }, skip: 1, times: 2, reply: { text: "second and third red" } },
          { when: { model: "gpt-5-*", headers: { "x-who": "me" } }, reply: { text: "mine" } },
          { when: { system: "You are blue" }, reply: { text: "blue" } },
        ],
      },
    });
    const said: string[] = [];
    for (const content of ["red", "red", "red", "red"]) said.push(await textOf(await chat(fake, content)));
    expect(said).toEqual(["otherwise", "second and third red", "second and third red", "otherwise"]);
    expect(await textOf(await chat(fake, "green", {}, { "x-who": "me" }))).toBe("mine");
    const messages = [
      { role: "system", content: "You are blue." },
      { role: "user", content: "who?" },
    ];
    expect(await textOf(await chat(fake, "", { messages }))).toBe("blue");
  });

  it("come after the script of this process, which may have no opinion, may take its time, and may fail", async () => {
    fake = await startFakeProvider({
      behaviour: { reply: { text: "otherwise" } },
      script: (request) => {
        if (request.lastUserText === "fail") throw new Error("no idea");
        return request.lastUserText === "late" ? Promise.resolve({ text: `late, round ${request.round}` }) : null;
      },
    });
    expect(await textOf(await chat(fake, "late"))).toBe("late, round 0");
    expect(await textOf(await chat(fake, "other"))).toBe("otherwise");
    const failed = await chat(fake, "fail");
    expect(failed.status).toBe(500);
    expect(await failed.text()).toContain("no idea");
    expect(fake.calls.at(-1)?.fault).toBe("script");
  });
});

describe("chance", () => {
  const behaviour: Behaviour = {
    schedule: { seed: 7, rate: 0.4, faults: { overloaded: 3, rate_limit: 1 }, mercyAfter: 3 },
  };
  const statuses = async (at: FakeProvider) => {
    const all = await Promise.all(Array.from({ length: 60 }, (_, n) => chat(at, `request ${n}`)));
    return all.map((response) => response.status);
  };

  it("strikes the same requests with the same faults for the same seed, in whichever order they come", async () => {
    fake = await startFakeProvider({ behaviour });
    const first = await statuses(fake);
    fake.clear();
    expect(await statuses(fake)).toEqual(first);
    const hit = (status: number) => first.filter((one) => one === status).length;
    expect(hit(503)).toBeGreaterThan(hit(429));
    expect(hit(429)).toBeGreaterThan(0);
    expect(hit(200)).toBeGreaterThan(24);
    fake.clear();
    fake.behave({ schedule: { seed: 8, rate: 0.4, faults: ["overloaded", "rate_limit"] } });
    expect(await statuses(fake)).not.toEqual(first);
  });

  it("has mercy on a request that came often enough", async () => {
    fake = await startFakeProvider({ behaviour: { schedule: { rate: 1, faults: ["overloaded"], mercyAfter: 2 } } });
    const all = [await chat(fake, "a"), await chat(fake, "a"), await chat(fake, "a")];
    expect(all.map((one) => one.status)).toEqual([503, 503, 200]);
  });
});

describe("latency", () => {
  it("is never less than asked", async () => {
    fake = await startFakeProvider({ behaviour: { latencyMs: 50 } });
    await Promise.all(Array.from({ length: 50 }, (_, n) => chat(fake as FakeProvider, `n ${n}`)));
    const tookMs = fake.calls.map((call) => (call.endedAtMs ?? 0) - call.startedAtMs);
    expect(Math.min(...tookMs)).toBeGreaterThanOrEqual(50);
  });

  it("can be a range, and be there between the pieces of a stream", async () => {
    fake = await startFakeProvider({
      behaviour: { latencyMs: [10, 40], chunkMs: 15, reply: { text: "abcd", chunkCharacters: 1 } },
    });
    const started = performance.now();
    await (await chat(fake, "x", { stream: true })).text();
    // Role, four letters, the finish, and [DONE].
    expect(performance.now() - started).toBeGreaterThanOrEqual(10 + 6 * 15);
  });
});

describe("the witness", () => {
  it("keeps what came, how often, with which headers, and what became of it", async () => {
    fake = await startFakeProvider();
    await (await chat(fake, "one", {}, { "idempotency-key": "k1" })).text();
    await (await chat(fake, "one", {}, { "idempotency-key": "k2" })).text();
    expect(fake.calls).toMatchObject([
      { number: 1, arrival: 1, headers: { "idempotency-key": "k1" }, body: { messages: [{ content: "one" }] } },
      { number: 2, arrival: 2, path: "/openai/v1/chat/completions", protocol: "openai", operation: "chat" },
    ]);
    expect(fake.calls[1]?.fingerprint).toBe(fake.calls[0]?.fingerprint);
    const [first] = fake.calls;
    expect(first?.endedAtMs).toBeGreaterThanOrEqual(first?.startedAtMs ?? Number.NaN);
    expect(Math.abs((first?.startedAtMs ?? 0) - Date.now())).toBeLessThan(10_000);
  });

  it("sees a body that is no JSON, and refuses it", async () => {
    fake = await startFakeProvider();
    const response = await fetch(`${fake.urls.openai}/chat/completions`, {
      method: "POST",
      body: "{not json",
      headers: { authorization: `Bearer ${FAKE_KEY}` },
    });
    expect(response.status).toBe(400);
    expect(fake.calls[0]?.body).toBe("{not json");
    for (const messages of [[null], "hello", [{ role: "tool" }, 7], [{ role: "assistant", tool_calls: 1 }]]) {
      expect((await chat(fake, "", { messages })).status).toBe(400);
    }
  });

  it("outlives a client that is killed in mid-call, in a process of its own", async () => {
    other = await startFakeProviderProcess({ behaviour: { latencyMs: 60_000 } });
    const source = `fetch(${JSON.stringify(`${other.urls.openai}/chat/completions`)}, {
      method: "POST", headers: { authorization: "Bearer ${FAKE_KEY}" }, body: ${JSON.stringify(chatBody("from the dead"))} })`;
    const client = spawn(process.execPath, ["-e", source]);
    await until(async () => (await other?.counts())?.open === 1);
    client.kill("SIGKILL");
    await once(client, "exit");
    await until(async () => (await other?.counts())?.left === 1);
    const [call] = await other.calls();
    expect(call).toMatchObject({
      outcome: "client_left",
      status: null,
      body: { messages: [{ content: "from the dead" }] },
    });
  });
});

describe("the control", () => {
  it("does from another process all that can be done here, and says of itself that it is a fake", async () => {
    other = await startFakeProviderProcess();
    const control = controlOf(other.origin);
    await control.next({ text: "first" }, { fault: { kind: "raw", status: 418, body: { tea: true } } });
    expect(await textOf(await chat(other, "x"))).toBe("first");
    const teapot = await chat(other, "x");
    expect([teapot.status, await teapot.json()]).toEqual([418, { tea: true }]);
    await control.behave({ reply: { text: "told" } });
    const told = await chat(other, "x");
    expect(told.headers.get("x-fake-provider")).toBe("no model is behind this");
    expect(await textOf(told)).toBe("told");
    await control.limit({ "gpt-*": { rpm: 1 } });
    await control.use("gpt-5-mini", { inputTokens: 1 });
    expect((await chat(other, "x")).status).toBe(429);
    const counts = await control.counts();
    expect(counts).toMatchObject({ received: 4, answered: 2, refused: 2, violations: 1, windows: [{ fullest: 1 }] });
    expect((await control.calls(3)).map((call) => call.number)).toEqual([4]);
    await control.clear();
    expect(await control.counts()).toMatchObject({ received: 0, violations: 0 });
    const about = await (await fetch(other.origin)).json();
    expect(about).toMatchObject({ fake: true, urls: other.urls });
  });
});

describe("what no client above asks for", () => {
  const anthropic = (path: string, body?: unknown) =>
    fetch(`${fake?.urls.anthropic}${path}`, {
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
      headers: { "x-api-key": FAKE_KEY, "anthropic-version": "2023-06-01" },
    });
  const message = (content: string) => ({
    model: "claude-sonnet-4-5",
    max_tokens: 50,
    messages: [{ role: "user", content }],
  });

  it("Anthropic's message batches and token counts", async () => {
    fake = await startFakeProvider({
      behaviour: { rules: [{ when: { contains: "bad" }, reply: { fault: "overloaded" } }] },
    });
    expect(
      await (await anthropic("/messages/count_tokens", { ...message("12345678"), max_tokens: undefined })).json(),
    ).toEqual({
      input_tokens: 2,
    });
    const requests = ["good", "bad"].map((content) => ({ custom_id: content, params: message(content) }));
    const created = await json(anthropic("/messages/batches", { requests }));
    expect(created).toMatchObject({ type: "message_batch", processing_status: "in_progress", results_url: null });
    const look = () => json(anthropic(`/messages/batches/${created.id}`));
    await until(async () => (await look()).processing_status === "ended");
    const done = await look();
    expect(done.request_counts).toMatchObject({ succeeded: 1, errored: 1, processing: 0 });
    const results = await (await fetch(done.results_url, { headers: { "x-api-key": FAKE_KEY } })).text();
    const rows = results
      .trim()
      .split("\n")
      .map((row) => JSON.parse(row));
    expect(rows).toMatchObject([
      { custom_id: "good", result: { type: "succeeded", message: { role: "assistant" } } },
      { custom_id: "bad", result: { type: "errored", error: { error: { type: "overloaded_error" } } } },
    ]);
    fake.behave({ batches: { outcome: "never" } });
    const { id } = await json(anthropic("/messages/batches", { requests }));
    await anthropic(`/messages/batches/${id}/cancel`, {});
    await until(async () => (await json(anthropic(`/messages/batches/${id}`))).request_counts.canceled === 2);
    expect((await json(anthropic("/messages/batches"))).data).toHaveLength(2);
  });

  it("Gemini's stream without SSE, and its key in the query", async () => {
    fake = await startFakeProvider({ behaviour: { reply: { text: "a longer text in pieces", chunkCharacters: 6 } } });
    const body = JSON.stringify({ contents: [{ role: "user", parts: [{ text: "x" }] }] });
    const url = `${fake.urls.google}/models/gemini-2.5-flash:streamGenerateContent`;
    const chunks = await json(fetch(`${url}?key=${FAKE_KEY}`, { method: "POST", body }));
    expect(chunks).toHaveLength(4);
    expect(chunks.at(-1).candidates[0].finishReason).toBe("STOP");
    expect((await fetch(url, { method: "POST", body })).status).toBe(403);
    expect((await fetch(`${url}?key=wrong`, { method: "POST", body })).status).toBe(400);
  });

  it("what does not fit into the model's context", async () => {
    fake = await startFakeProvider({ contextTokens: { "gpt-*": 100 } });
    const response = await chat(fake, "long ".repeat(200));
    expect(await response.json()).toMatchObject({ error: { code: "context_length_exceeded" } });
  });

  it("a sample of every kind of schema", () => {
    const schema = {
      $defs: {
        node: {
          type: "object",
          properties: { name: { type: "string", minLength: 20 }, next: { $ref: "#/$defs/node" } },
        },
      },
      type: "OBJECT",
      required: ["at", "n", "list", "either", "tree"],
      properties: {
        at: { type: "string", format: "date-time" },
        n: { type: ["integer", "null"], minimum: 5, maximum: 7 },
        list: { type: "array", minItems: 3, items: { enum: ["a", "b"] } },
        either: { anyOf: [{ const: "this" }, { type: "number" }] },
        map: { type: "object", additionalProperties: { type: "boolean" } },
        both: { allOf: [{ properties: { x: { type: "number" } } }, { properties: { y: { type: "null" } } }] },
        tree: { $ref: "#/$defs/node" },
      },
    };
    const value = sample(schema, "seed") as Record<string, unknown>;
    expect(value).toMatchObject({ either: "this", map: { fake: true }, both: { x: expect.any(Number), y: null } });
    expect(Date.parse(value["at"] as string)).not.toBeNaN();
    expect([5, 6, 7]).toContain(value["n"]);
    expect(value["list"]).toHaveLength(3);
    expect(sample(schema, "seed")).toEqual(value);
  });
});

async function until(met: () => Promise<boolean>): Promise<void> {
  while (!(await met())) await new Promise((resolve) => setTimeout(resolve, 15));
}
