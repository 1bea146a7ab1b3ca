// Streams across broken sockets, restarted servers and other processes: every event once, in order, the same bytes.
import { connect as connectSocket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connect } from "../../src/runtime/connect.ts";
import { serve } from "../../src/server/index.ts";
import { agents, gate } from "./agents.ts";
import { clientOf, type House, openHouse, parseFrames, readAll, readUntil, silent, until } from "./harness.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());

const MODES = "?stream_mode=values&stream_mode=updates&stream_mode=custom&stream_mode=debug";

/** A run of many steps that stops at the gates named, and the path of its stream. */
async function startStepper(door: string, steps: number, gates: number[]): Promise<{ runId: string; path: string }> {
  const { thread_id: threadId } = await house.client.threads.create();
  const run = await house.client.runs.create(threadId, "stepper", { input: { steps, gate: door, gates } });
  return { runId: run.run_id, path: `/threads/${threadId}/runs/${run.run_id}/stream${MODES}` };
}

describe("a reader", () => {
  test("that breaks off after every frame and comes back gets exactly what an unbroken one gets", async () => {
    const { path } = await startStepper("cut", 6, [2, 4]);
    const url = house.server.url + path;
    let text = "";
    let cursor: string | undefined;
    let rounds = 0;
    for (; !text.includes('"steps":6'); rounds++) {
      if (text.includes('"done":1')) gate("cut:2").open();
      if (text.includes('"done":3')) gate("cut:4").open();
      const headers: Record<string, string> = cursor === undefined ? {} : { "last-event-id": cursor };
      const part = await readUntil(url, (frames) => frames.some(({ id }) => id !== undefined), { headers });
      const first = part.frames.findIndex(({ id }) => id !== undefined);
      cursor = part.frames[first]?.id;
      text += part.text.slice(0, endOfFrame(part.text, first));
    }
    expect(rounds).toBeGreaterThan(12);
    const whole = await readAll(url);
    expect(text).toBe(whole.slice(0, text.length));
    expect(text + (await readAll(url, { "last-event-id": cursor ?? "" }))).toBe(whole);
  });

  test("that comes back from any place gets the rest, byte for byte", async () => {
    const { runId, path } = await startStepper("anywhere", 4, []);
    await house.longhaul.wait(runId);
    const url = house.server.url + path;
    const whole = await readAll(url);
    const frames = parseFrames(whole);
    expect(frames.length).toBeGreaterThan(10);
    for (const [place, { id }] of frames.entries()) {
      if (id === undefined) continue;
      const rest = await readAll(url, { "last-event-id": id });
      expect(rest).toBe(whole.slice(endOfFrame(whole, place)));
    }
    expect(await readAll(url, { "last-event-id": "-1" })).toBe(whole);
  });

  test("sees journal numbers that rise one by one on the journal's own stream", async () => {
    const { runId } = await startStepper("native", 3, []);
    await house.longhaul.wait(runId);
    const frames = parseFrames(await readAll(`${house.server.url}/runs/${runId}/events`));
    expect(frames.map(({ id }) => Number(id))).toEqual(frames.map((_, place) => place + 1));
    expect(frames.at(-1)).toMatchObject({ event: "finished", data: { runId, kind: "finished" } });
    const rest = parseFrames(await readAll(`${house.server.url}/runs/${runId}/events?after=2`));
    expect(rest).toEqual(frames.slice(2));
  });

  test("whose run ended sees the final status before the end of the stream", async () => {
    const { runId, path } = await startStepper("status", 1, [0]);
    const reading = readAll(house.server.url + path);
    gate("status:0").open();
    await reading;
    const response = await fetch(`${house.server.url}/runs/${runId}`);
    expect(await response.json()).toMatchObject({ status: "success" });
  });
});

describe("a server that is restarted in mid-stream", () => {
  test("breaks its streams off, so that clients come back to the next one and miss nothing", async () => {
    const first = await serve({ longhaul: house.longhaul, port: 0, log: silent });
    const { path } = await startStepper("restart", 4, [2]);
    const half = readUntil(first.url + path, () => false).then(
      () => "ended cleanly",
      (error: unknown) => String((error as Error).message),
    );
    await until(async () => (await readUntil(house.server.url + path, seen("s1"))).frames.length > 0);
    await first.close();
    expect(await half).toContain("terminated");
    const second = await serve({ longhaul: house.longhaul, port: first.port, log: silent });
    gate("restart:2").open();
    expect(await readAll(second.url + path)).toBe(await readAll(house.server.url + path));
    await second.close();
  });

  test("is not noticed by LangGraph's client, which reconnects by itself", async () => {
    const first = await serve({ longhaul: house.longhaul, port: 0, log: silent });
    const { thread_id: threadId } = await house.client.threads.create();
    const events: [string | undefined, string][] = [];
    const reading = (async () => {
      const parts = clientOf(first).runs.stream(threadId, "stepper", {
        input: { steps: 3, gate: "sdk-restart", gates: [2] },
        streamMode: ["updates", "values"],
      });
      for await (const part of parts) events.push([part.id, part.event]);
    })();
    await until(async () => events.length === 3);
    await first.close();
    const second = await serve({ longhaul: house.longhaul, port: first.port, log: silent });
    gate("sdk-restart:2").open();
    await reading;
    expect(events.map(([, event]) => event)).toEqual(["metadata", "updates", "updates", "updates", "values"]);
    expect(new Set(events.map(([id]) => id)).size).toBe(events.length);
    await second.close();
  });
});

describe("a run on another process", () => {
  test("is streamed by a server that has no worker of its own", async () => {
    const serverOnly = await connect({ url: house.database.url, agents });
    const server = await serve({ longhaul: serverOnly, port: 0, log: silent });
    const { runId, path } = await startStepper("elsewhere", 4, [1, 3]);
    const reading = readAll(server.url + path);
    await until(async () => (await house.longhaul.get(runId))?.status === "running");
    gate("elsewhere:1").open();
    gate("elsewhere:3").open();
    const remote = await reading;
    expect(remote).toBe(await readAll(house.server.url + path));
    const joined = await fetch(`${server.url}/runs/${runId}/join`);
    expect(await joined.json()).toEqual({ steps: 4 });
    await server.close();
    await serverOnly.close();
  });
});

describe("the wire", () => {
  test("has headers that clients reconnect by, and no id but on the last frame of an entry", async () => {
    const { runId, path } = await startStepper("wire", 2, []);
    await house.longhaul.wait(runId);
    const response = await fetch(house.server.url + path);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const base = path.replace(/\/stream.*/, "");
    expect(response.headers.get("content-location")).toBe(base);
    expect(response.headers.get("location")).toBe(`${base}/stream`);
    const frames = parseFrames(await response.text());
    const step = frames.findIndex(({ event, data }) => event === "debug" && (data as { type: string }).type === "step");
    expect(frames[step]?.id).toBeUndefined();
    expect(frames[step + 1]?.event).toBe("updates");
    expect(frames[step + 1]?.id).toBeDefined();
    expect(frames.map(({ event }) => event)).not.toContain("end");
  });

  test("carries heartbeats of one line between frames while nothing happens", async () => {
    const server = await serve({ longhaul: house.longhaul, port: 0, log: silent, limits: { heartbeatMs: 20 } });
    const { path } = await startStepper("beat", 1, [0]);
    const text = await rawUntil(server.port, path, (received) => received.split(": heartbeat\n").length > 4);
    expect(text).not.toContain(": heartbeat\n\n");
    gate("beat:0").open();
    await server.close();
  });
});

const seen =
  (step: string) =>
  (frames: { event: string; data: unknown }[]): boolean =>
    frames.some(({ event, data }) => event === "updates" && Object.keys(data as object).includes(step));

/** Where the frame at a place ends in the text. */
function endOfFrame(text: string, place: number): number {
  let end = 0;
  for (let i = 0; i <= place; i++) end = text.indexOf("\n\n", end) + 2;
  return end;
}

/** Bytes as they come over a socket of one's own, chunk sizes taken out. */
function rawUntil(port: number, path: string, enough: (received: string) => boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = "";
    const socket = connectSocket(port, "127.0.0.1", () =>
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`),
    );
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      received += chunk
        .toString("utf8")
        .replace(/(?:\r\n)?[0-9a-f]+\r\n/g, "")
        .replace(/\r\n$/, "");
      if (!enough(received)) return;
      socket.destroy();
      resolve(received);
    });
  });
}
