// The operator's endpoints: inspect, why, retry, fork, signal, cancel, approvals, workers, queues, lists.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOf, type House, openHouse, post, until } from "./harness.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse();
});
afterAll(() => house.close());

async function get(path: string): Promise<Record<string, unknown>> {
  const response = await fetch(house.server.url + path);
  expect(response.status).toBe(200);
  return (await response.json()) as Record<string, unknown>;
}

async function send(path: string, body: unknown): Promise<Record<string, unknown>> {
  const response = await post(house.server, path, body);
  const answer = (await response.json()) as Record<string, unknown>;
  expect([response.status, answer]).toEqual([200, answer]);
  return answer;
}

async function started(agent: string, status: string, input?: unknown): Promise<string> {
  const { runId } = await house.longhaul.submit(agent, input);
  await until(async () => (await house.longhaul.get(runId))?.status === status);
  return runId;
}

describe("a run", () => {
  test("is inspected with its steps", async () => {
    const runId = await started("stepper", "succeeded", { steps: 2 });
    const detail = await get(`/admin/runs/${runId}`);
    expect(detail).toMatchObject({
      runId,
      agent: "stepper",
      status: "succeeded",
      result: { status: "succeeded", output: { steps: 2 } },
    });
    expect((detail.steps as { key: string }[]).map(({ key }) => key)).toEqual(expect.arrayContaining(["s0#1", "s1#1"]));
  });

  test("says why it does not move, and hears signals", async () => {
    const runId = await started("listener", "waiting");
    expect(await get(`/admin/runs/${runId}/why`)).toMatchObject({
      runId,
      code: "signal",
      sentence: expect.any(String),
    });
    expect(await send(`/admin/runs/${runId}/signal`, { name: "news", payload: { n: 1 } })).toEqual({
      runId,
      name: "news",
    });
    expect(await house.longhaul.wait(runId)).toEqual({ status: "succeeded", output: { heard: { n: 1 } } });
  });

  test("is cancelled with a reason", async () => {
    const runId = await started("sleeper", "waiting");
    expect(await send(`/admin/runs/${runId}/cancel`, { reason: "not needed" })).toEqual({
      runId,
      verdict: "cancelled",
    });
    expect(await send(`/admin/runs/${runId}/cancel`, {})).toEqual({ runId, verdict: "finished" });
    expect(await get(`/admin/runs/${runId}`)).toMatchObject({ status: "cancelled", reason: "not needed" });
  });

  test("is retried and forked into new ones", async () => {
    const runId = await started("failing", "failed");
    const retried = await send(`/admin/runs/${runId}/retry`, {});
    expect(retried.runId).not.toBe(runId);
    const done = await started("stepper", "succeeded", { steps: 2 });
    const forked = await send(`/admin/runs/${done}/fork`, { beforeStep: "s1" });
    expect(await house.longhaul.wait(String(forked.runId))).toMatchObject({ status: "succeeded" });
    expect(await get(`/admin/runs/${String(forked.runId)}`)).toMatchObject({ forkedFrom: done });
  });

  test("is listed by our words and by LangGraph's", async () => {
    const failed = await started("failing", "failed");
    const native = (await get("/admin/runs?status=failed&agent=failing&limit=5")) as unknown as { runId: string }[];
    expect(native.map(({ runId }) => runId)).toContain(failed);
    const translated = (await get("/runs?status=error&assistant_id=failing")) as unknown as Record<string, unknown>[];
    expect(translated.map((run) => run.run_id)).toContain(failed);
    expect(new Set(translated.map((run) => run.status))).toEqual(new Set(["error"]));
  });
});

describe("approvals", () => {
  test("are listed and answered once, by whoever authentication says", async () => {
    const runId = await started("publisher", "waiting", { draft: "text" });
    const [asked] = (await get(`/admin/approvals?runId=${runId}`)) as unknown as { approvalId: string }[];
    const path = `/admin/approvals/${asked?.approvalId}`;
    const forged = { comment: "fine", args: { draft: "better" }, by: "the king" };
    expect(await send(`${path}/approve`, forged)).toMatchObject({ status: "approved", resolvedBy: "local" });
    const late = await post(house.server, `${path}/deny`, {});
    expect([late.status, await codeOf(late)]).toEqual([409, "APPROVAL_TAKEN"]);
    expect(await house.longhaul.wait(runId)).toMatchObject({
      output: { approved: true, args: { draft: "better" }, comment: "fine", by: "local" },
    });
  });

  test("are denied; interrupts are answered with any value", async () => {
    const denied = await started("publisher", "waiting", { draft: "text" });
    const [first] = await house.longhaul.approvals({ runId: denied });
    await send(`/admin/approvals/${first?.approvalId}/deny`, {});
    expect(await house.longhaul.wait(denied)).toMatchObject({ output: { approved: false } });
    const asking = await started("asker", "waiting");
    const [second] = await house.longhaul.approvals({ runId: asking });
    await send(`/admin/approvals/${second?.approvalId}/resume`, { value: "Ada" });
    await until(async () => {
      const [next] = await house.longhaul.approvals({ runId: asking, status: "pending" });
      return (next?.request as { name?: string } | undefined)?.name === "Ada";
    });
  });
});

describe("the installation", () => {
  test("shows its workers and queues", async () => {
    const workers = (await get("/admin/workers")) as unknown as { agents: string[]; state: string }[];
    expect(workers).toHaveLength(1);
    expect(workers[0]).toMatchObject({ state: "active", agents: expect.arrayContaining(["echo", "asker"]) });
    const { queues } = (await get("/admin/queues")) as unknown as { queues: { queue: string }[] };
    expect(queues.map(({ queue }) => queue)).toContain("default");
  });

  test("says what it is and how it is", async () => {
    expect(await get("/ok")).toEqual({ ok: true });
    expect(await get("/ok?check_db=1")).toEqual({ ok: true });
    expect(await get("/healthz")).toEqual({ alive: true });
    expect(await get("/readyz")).toMatchObject({ ready: true });
    expect(await get("/info")).toMatchObject({ name: "longhaul", flags: { assistants: true, crons: false } });
  });
});
