// Submitting: once per key, in the caller's transaction if asked, in the order asked for, and refused before anything is stored.
import pg from "pg";
import { describe, expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import { rejection, until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();
const echo = agent({ name: "echo", run: (_ctx, input) => input });

async function countRuns(): Promise<number> {
  const [row] = await stage.db.query<{ n: number }>("select count(*) as n from longhaul.runs where build = $1", [
    stage.build,
  ]);
  return row?.n ?? -1;
}

describe("an idempotency key", () => {
  test("gives one run to 20 submits at once, over two processes, and all of them its result (3)", async () => {
    const one = await stage.worker([echo]);
    const two = await stage.client([echo]);
    const handles = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 ? one : two).submit(echo, { n: 1 }, { idempotencyKey: "k" })),
    );
    expect(new Set(handles.map((handle) => handle.runId)).size).toBe(1);
    expect(handles.filter((handle) => !handle.existing)).toHaveLength(1);
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(handles.map(() => ({ n: 1 })));
    expect(await countRuns()).toBe(1);
  });

  test("is refused for another input, another agent and another thread (IDEMPOTENCY_MISMATCH)", async () => {
    const other = agent({ name: "other", run: () => 1 });
    const longhaul = await stage.client([echo, other]);
    const first = await longhaul.submit(echo, 1, { idempotencyKey: "m" });
    for (const again of [
      () => longhaul.submit(echo, 2, { idempotencyKey: "m" }),
      () => longhaul.submit(other, 1, { idempotencyKey: "m" }),
      () => longhaul.submit(echo, 1, { idempotencyKey: "m", threadId: crypto.randomUUID() }),
    ]) {
      expect(await rejection(again())).toMatchObject({
        code: "IDEMPOTENCY_MISMATCH",
        status: 422,
        hint: expect.stringContaining(first.runId),
      });
    }
    expect(await countRuns()).toBe(1);
  });

  test("still finds the run when it has ended", async () => {
    const longhaul = await stage.worker([echo]);
    const first = await longhaul.submit(echo, 1, { idempotencyKey: "ended" });
    await first.result();
    const again = await longhaul.submit(echo, 1, { idempotencyKey: "ended" });
    expect(again).toMatchObject({ runId: first.runId, existing: true });
    expect(await again.result()).toBe(1);
  });

  test("belongs to its tenant", async () => {
    const longhaul = await stage.client([echo]);
    const one = await longhaul.submit(echo, 1, { idempotencyKey: "t" });
    const two = await longhaul.tenant("another").submit(echo, 2, { idempotencyKey: "t" });
    expect(two.runId).not.toBe(one.runId);
  });
});

test("a run id of one's own makes a repeated submit safe", async () => {
  const longhaul = await stage.worker([echo]);
  const runId = crypto.randomUUID();
  const handles = await Promise.all(Array.from({ length: 5 }, () => longhaul.submit(echo, "mine", { runId })));
  expect(handles.map((handle) => handle.runId)).toEqual(Array(5).fill(runId));
  expect(await longhaul.wait(runId)).toEqual({ status: "succeeded", output: "mine" });
  expect(await countRuns()).toBe(1);
});

test("a run id that another tenant has already is not given away", async () => {
  const longhaul = await stage.worker([echo]);
  const runId = crypto.randomUUID();
  await longhaul.submit(echo, "secret", { runId });
  const answer = await longhaul
    .tenant("eve")
    .submit(echo, "mine", { runId })
    .then(
      (handle) => handle.result().catch((error: { code: string }) => error.code),
      (error: { code: string }) => error.code,
    );
  expect(answer).not.toBe("secret");
  expect(await longhaul.tenant("eve").get(runId)).toBeNull();
});

describe("in the caller's own transaction", () => {
  async function client(): Promise<pg.Client> {
    const own = new pg.Client({ connectionString: stage.url });
    await own.connect();
    return own;
  }

  test("a run exists if and only if the transaction commits", async () => {
    const longhaul = await stage.worker([echo]);
    const tx = await client();
    await tx.query("begin");
    const dropped = await longhaul.submit(echo, "dropped", { tx });
    await tx.query("rollback");
    await tx.query("begin");
    const kept = await longhaul.submit(echo, "kept", { tx });
    expect(await longhaul.get(kept.runId)).toBeNull();
    await tx.query("commit");
    expect(await kept.result()).toBe("kept");
    expect(await longhaul.get(dropped.runId)).toBeNull();
    await tx.end();
  });

  test("a committed run that no worker has seen yet is there for whoever asks", async () => {
    const longhaul = await stage.client([echo]);
    const tx = await client();
    const handle = await longhaul.submit(echo, 1, { tx, metadata: { a: 1 } });
    expect(await longhaul.get(handle.runId)).toMatchObject({ status: "queued", metadata: { a: 1 } });
    expect(await longhaul.why(handle.runId)).toMatchObject({ code: "behind" });
    const worker = await stage.worker([echo]);
    expect(await worker.wait(handle.runId)).toMatchObject({ output: 1 });
    await tx.end();
  });

  test("large inputs, delays and threads go along", async () => {
    const longhaul = await stage.worker([echo]);
    const tx = await client();
    const large = "x".repeat(100_000);
    const threadId = crypto.randomUUID();
    await tx.query("begin");
    const one = await longhaul.submit(echo, large, { tx, threadId });
    const two = await longhaul.submit(echo, "later", { tx, threadId, delay: 200 });
    await tx.query("commit");
    expect(await one.result()).toBe(large);
    expect(await two.result()).toBe("later");
    expect((await longhaul.list({ threadId })).map((run) => run.runId)).toEqual([two.runId, one.runId]);
    await tx.end();
  });

  test("an idempotency key has no place there", async () => {
    const longhaul = await stage.client([echo]);
    const tx = await client();
    await expect(longhaul.submit(echo, 1, { tx, idempotencyKey: "k" })).rejects.toMatchObject({
      code: "IDEMPOTENCY_IN_TRANSACTION",
    });
    await tx.end();
  });
});

describe("when", () => {
  test("a delayed run starts no sooner, by the database's clock (28)", async () => {
    const longhaul = await stage.worker([echo]);
    const handle = await longhaul.submit(echo, 1, { delay: 300 });
    expect(await longhaul.get(handle.runId)).toMatchObject({ status: "queued", runAt: expect.any(String) });
    await handle.result();
    const [row] = await stage.db.query<{ early: boolean }>(
      "select j.at < r.run_at as early from longhaul.runs r join longhaul.journal j using (run_id) where run_id = $1 and seq = 1",
      [handle.runId],
    );
    expect(row?.early).toBe(false);
  });

  test("runs that wait together start in the order of their priorities, then of their submits", async () => {
    const order: unknown[] = [];
    const noter = agent({ name: "noter", run: (ctx, input) => ctx.step("note", () => void order.push(input)) });
    const client = await stage.client([noter]);
    const asked = [
      ["normal", 100],
      ["late", 500],
      ["first", 0],
      ["normal too", 100],
    ] as const;
    const handles = [];
    for (const [name, priority] of asked) handles.push(await client.submit(noter, name, { priority }));
    const worker = await stage.worker([noter], { slots: 1 });
    for (const handle of handles) await worker.wait(handle.runId);
    expect(order).toEqual(["first", "normal", "normal too", "late"]);
  });

  test.each([-1, 1.5, 40_000, Number.NaN])("a priority of %s is refused", async (priority) => {
    const longhaul = await stage.client([echo]);
    await expect(longhaul.submit(echo, 1, { priority })).rejects.toMatchObject({ code: "PRIORITY_INVALID" });
  });
});

describe("what is refused", () => {
  test("an agent that is not there, with the nearest name", async () => {
    const longhaul = await stage.client([echo, agent({ name: "researcher", run: () => 1 })]);
    const error = await rejection(longhaul.submit("reasearcher"));
    expect(error).toMatchObject({ code: "AGENT_UNKNOWN", status: 404, details: { didYouMean: "researcher" } });
    expect(error.hint).toContain("echo, researcher");
  });

  test.each([
    [
      "a cycle",
      () => {
        const a: Record<string, unknown> = {};
        a["a"] = a;
        return a;
      },
    ],
    ["a bigint", () => ({ n: 1n })],
    ["NUL", () => ({ text: "\u0000" })],
    ["half of a surrogate pair", () => ({ text: "\ud800" })],
    ["no object", () => [1, 2] as never],
  ])("metadata with %s", async (_, metadata) => {
    const longhaul = await stage.client([echo]);
    await expect(longhaul.submit(echo, 1, { metadata: metadata() })).rejects.toMatchObject({
      code: "METADATA_INVALID",
    });
    expect(await countRuns()).toBe(0);
  });

  test("metadata with an emoji, a backslash and escaped text is kept as it is", async () => {
    const longhaul = await stage.client([echo]);
    const metadata = { emoji: "😀", path: "C:\\u0000 is text", nested: { list: [1, null, true] } };
    const handle = await longhaul.submit(echo, 1, { metadata });
    expect((await longhaul.get(handle.runId))?.metadata).toEqual(metadata);
    expect((await longhaul.list({ metadata: { nested: { list: [null] } } })).map((run) => run.runId)).toEqual([
      handle.runId,
    ]);
  });

  test.each([
    ["runId", "not a uuid", "ID_INVALID"],
    ["threadId", "not a uuid", "ID_INVALID"],
    ["queue", "", "KEY_INVALID"],
    ["queue", "a\u0000", "KEY_INVALID"],
    ["idempotencyKey", "k".repeat(513), "KEY_INVALID"],
    ["idempotencyKey", "\udfff", "KEY_INVALID"],
    ["delay", "soon", "DURATION_INVALID"],
  ])("%s %j (%s)", async (option, value, code) => {
    const longhaul = await stage.client([echo]);
    await expect(longhaul.submit(echo, 1, { [option]: value })).rejects.toMatchObject({ code });
    expect(await countRuns()).toBe(0);
  });

  test.each(["", "a\u0000b", "\ud800", "t".repeat(513)])("a tenant called %j", async (tenant) => {
    const longhaul = await stage.client([echo]);
    expect(() => longhaul.tenant(tenant)).toThrow(expect.objectContaining({ code: "KEY_INVALID" }));
  });
});

describe("results", () => {
  test("run() submits and waits; a failure comes with its cause, a cancel with its reason", async () => {
    const failer = agent({
      name: "failer",
      run: () => {
        throw new RangeError("no");
      },
    });
    const waiter = agent({ name: "waiter", run: (ctx) => ctx.signal("go") });
    const longhaul = await stage.worker([echo, failer, waiter]);
    expect(await longhaul.run(echo, { a: 1 })).toEqual({ a: 1 });
    const failed = await rejection(longhaul.run(failer, null));
    expect(failed).toMatchObject({ code: "RUN_FAILED", details: { name: "RangeError", message: "no" } });
    expect(failed.cause).toBeInstanceOf(RangeError);
    const handle = await longhaul.submit(waiter, null);
    const result = rejection(handle.result());
    await handle.cancel("changed my mind");
    expect(await result).toMatchObject({ code: "RUN_CANCELLED", message: expect.stringContaining("changed my mind") });
  });

  test("waiting stops at its time-out or signal, and the run goes on", async () => {
    const waiter = agent({ name: "waiter", run: (ctx) => ctx.signal("go") });
    const longhaul = await stage.worker([waiter]);
    const handle = await longhaul.submit(waiter, null);
    await expect(handle.result({ timeoutMs: 20 })).rejects.toMatchObject({ code: "WAIT_TIMEOUT" });
    const abort = new AbortController();
    const waiting = rejection(handle.result({ abort: abort.signal }));
    abort.abort(new Error("enough"));
    expect(await waiting).toMatchObject({ message: "enough" });
    await untilStatus(longhaul, handle.runId, "waiting");
    await longhaul.signal(handle.runId, "go", 1);
    expect(await handle.result()).toBe(1);
  });

  test("200 runs at once end, each with its own result, and the counters are right afterwards (23, 55)", async () => {
    const longhaul = await stage.worker([echo], { slots: 50 });
    const results = await Promise.all(Array.from({ length: 200 }, (_, i) => longhaul.run(echo, i)));
    expect(results).toEqual(Array.from({ length: 200 }, (_, i) => i));
    const [counts] = await stage.db.query(
      `select sum(l.ready)::int as ready, (select sum(in_flight)::int from longhaul.tenants) as in_flight,
              (select count(*) from longhaul.outcomes o join longhaul.runs r using (run_id) where r.build = $1) as ended
         from longhaul.turns l where l.build = $1`,
      [stage.build],
    );
    expect(counts).toEqual({ ready: 0, in_flight: 0, ended: 200 });
  });

  test("another process sees the end without being told by this one", async () => {
    const longhaul = await stage.worker([echo]);
    const other = await stage.client([echo]);
    const handle = await other.submit(echo, "seen");
    expect(await handle.result()).toBe("seen");
    expect(await until(() => longhaul.result(handle.runId))).toEqual({ status: "succeeded", output: "seen" });
  });
});
