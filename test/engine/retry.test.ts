// Attempts of a step: counted, journaled, spaced as the policy says, and never forgotten by a crash.
import { describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import { agent, NonRetryableError, RetryableError } from "../../src/index.ts";
import { gate, journalOf, rejection, until, useStage } from "../support/longhaul.ts";

const stage = useStage();
const QUICK = { initialMs: 1, jitter: 0 } as const;

test("a step that fails is tried again as often as the policy says, and each attempt is journaled (20)", async () => {
  const attempts: number[] = [];
  const flaky = agent({
    name: "flaky",
    run: (ctx) =>
      ctx.step("call", { retry: { ...QUICK, maxAttempts: 3 } }, ({ attempt }) => {
        attempts.push(attempt);
        throw new Error(`attempt ${attempt}`);
      }),
  });
  const longhaul = await stage.worker([flaky]);
  const handle = await longhaul.submit(flaky, null);
  expect((await rejection(handle.result())).message).toContain("attempt 3");
  expect(attempts).toEqual([1, 2, 3]);
  const kinds = (await journalOf(stage.db, handle.runId))
    .filter((entry) => entry.key === "call#1")
    .map((entry) => entry.kind);
  expect(kinds).toEqual([KIND.attempt, KIND.attempt, KIND.step]);
});

test("a step that succeeds at last gives its value", async () => {
  const flaky = agent({
    name: "flaky",
    run: (ctx) =>
      ctx.step("call", { retry: QUICK }, ({ attempt }) => {
        if (attempt < 3) throw new Error("not yet");
        return attempt;
      }),
  });
  const longhaul = await stage.worker([flaky]);
  expect(await longhaul.run(flaky, null)).toBe(3);
});

/** The moment that an attempt's entry names for the next one. */
function retryAtMs(entry: { body: string | null } | undefined): number {
  return (JSON.parse(entry?.body ?? "{}") as { r: number }).r;
}

test("the pause before the next attempt is at least what the policy says (20)", async () => {
  const flaky = agent({
    name: "flaky",
    run: (ctx) =>
      ctx.step("call", { retry: { initialMs: 60, factor: 2, jitter: 0, maxAttempts: 3 } }, ({ attempt }) => {
        if (attempt < 3) throw new Error("not yet");
      }),
  });
  const longhaul = await stage.worker([flaky]);
  const handle = await longhaul.submit(flaky, null);
  await handle.result();
  const [first, second, third] = (await journalOf(stage.db, handle.runId)).filter((entry) => entry.key === "call#1");
  // Both sides on the database's clock: no attempt comes before the moment that was recorded for it.
  expect(Number(second?.at)).toBeGreaterThanOrEqual(retryAtMs(first));
  expect(Number(third?.at)).toBeGreaterThanOrEqual(retryAtMs(second));
  expect(retryAtMs(second) - Number(first?.at)).toBeGreaterThanOrEqual(120);
});

test("the count survives a takeover: an attempt that was used up stays used up (20)", async () => {
  const attempts: number[] = [];
  const hold = gate();
  const flaky = agent({
    name: "flaky",
    run: (ctx) =>
      ctx.step("call", { retry: { ...QUICK, maxAttempts: 3 } }, async ({ attempt }) => {
        attempts.push(attempt);
        if (attempt === 2) await hold.opened;
        throw new Error(`attempt ${attempt}`);
      }),
  });
  const longhaul = await stage.worker([flaky]);
  const handle = await longhaul.submit(flaky, null);
  await until(() => attempts.length === 2);
  await stage.takeOver(handle.runId);
  await until(() => attempts.length === 3);
  hold.open();
  expect((await rejection(handle.result())).message).toContain("attempt 3");
  expect(attempts).toEqual([1, 2, 2, 3]);
});

test("a backoff that was under way goes on after a takeover and does not start anew", async () => {
  const flaky = agent({
    name: "flaky",
    run: (ctx) =>
      ctx.step("call", { retry: { initialMs: 400, jitter: 0, maxAttempts: 2 } }, ({ attempt }) => {
        if (attempt === 1) throw new Error("not yet");
        return attempt;
      }),
  });
  const longhaul = await stage.worker([flaky], { warmMs: 0 });
  const handle = await longhaul.submit(flaky, null);
  const planned = await until(async () =>
    (await journalOf(stage.db, handle.runId)).find((entry) => entry.kind === KIND.attempt),
  );
  await stage.takeOver(handle.runId);
  expect(await handle.result()).toBe(2);
  const done = (await journalOf(stage.db, handle.runId)).find((entry) => entry.kind === KIND.step);
  const retryAtMs = (JSON.parse(planned.body ?? "") as { r: number }).r;
  expect(Number(done?.at)).toBeGreaterThanOrEqual(retryAtMs);
  expect(Number(done?.at)).toBeLessThan(retryAtMs + 10_000);
});

test("a long backoff costs a row: the run waits and holds no slot (34)", async () => {
  const slow = agent({
    name: "slow",
    run: (ctx) =>
      ctx.step("call", { retry: { initialMs: 3_600_000, jitter: 0 } }, () => {
        throw new Error("later");
      }),
  });
  const longhaul = await stage.worker([slow]);
  const handle = await longhaul.submit(slow, null);
  await until(async () => (await longhaul.get(handle.runId))?.status === "waiting");
  expect(await longhaul.why(handle.runId)).toMatchObject({
    code: "timer",
    sentence: expect.stringContaining("retry of step call#1"),
  });
  expect(await handle.cancel()).toBe("cancelled");
});

test("NonRetryableError fails the step at once", async () => {
  let bodies = 0;
  const strict = agent({
    name: "strict",
    run: (ctx) =>
      ctx.step("call", () => {
        bodies += 1;
        throw new NonRetryableError("never");
      }),
  });
  const longhaul = await stage.worker([strict]);
  await rejection(longhaul.run(strict, null));
  expect(bodies).toBe(1);
});

test("RetryableError decides when the next attempt may come", async () => {
  let failedAtMs = 0;
  let againAtMs = 0;
  const polite = agent({
    name: "polite",
    run: (ctx) =>
      ctx.step("call", { retry: { ...QUICK, maxAttempts: 2 } }, ({ attempt }) => {
        if (attempt === 1) failedAtMs = performance.now();
        else againAtMs = performance.now();
        if (attempt === 1) throw new RetryableError("busy", { retryAfterMs: 150 });
        return attempt;
      }),
  });
  const longhaul = await stage.worker([polite]);
  const handle = await longhaul.submit(polite, null);
  expect(await handle.result()).toBe(2);
  const [first, second] = (await journalOf(stage.db, handle.runId)).filter((entry) => entry.key === "call#1");
  expect(Number(second?.at)).toBeGreaterThanOrEqual(retryAtMs(first));
  expect(failedAtMs).toBeGreaterThan(0);
  expect(againAtMs - failedAtMs).toBeGreaterThanOrEqual(150);
});

test("every attempt has the same idempotency key, no two steps share one", async () => {
  const keys: string[] = [];
  const flaky = agent({
    name: "flaky",
    async run(ctx) {
      for (const name of ["a", "b"]) {
        await ctx.step(name, { retry: QUICK }, ({ attempt, idempotencyKey }) => {
          keys.push(idempotencyKey);
          if (attempt === 1) throw new Error("again");
        });
      }
    },
  });
  const longhaul = await stage.worker([flaky]);
  const handle = await longhaul.submit(flaky, null);
  await handle.result();
  expect(keys).toEqual([`${handle.runId}/a#1`, `${handle.runId}/a#1`, `${handle.runId}/b#1`, `${handle.runId}/b#1`]);
});

test("a retry policy that makes no sense fails the run and says why", async () => {
  const odd = agent({ name: "odd", run: (ctx) => ctx.step("s", { retry: { maxAttempts: 0 } }, () => 1) });
  const longhaul = await stage.worker([odd]);
  expect((await rejection(longhaul.run(odd, null))).cause).toMatchObject({ code: "RETRY_INVALID" });
});

describe("time-outs", () => {
  test("a body that hears its signal ends by itself, and the attempt counts as timed out", async () => {
    const heard: unknown[] = [];
    const slow = agent({
      name: "slow",
      run: (ctx) =>
        ctx.step("call", { timeout: 20, retry: false }, async ({ abort }) => {
          await new Promise((resolve) => abort.addEventListener("abort", resolve));
          heard.push(abort.reason);
          throw new Error("interrupted");
        }),
    });
    const longhaul = await stage.worker([slow], { graceMs: 10_000 });
    const error = await rejection(longhaul.run(slow, null));
    expect(error.cause).toMatchObject({ code: "STEP_TIMEOUT" });
    expect(heard).toMatchObject([{ code: "STEP_TIMEOUT" }]);
  });

  test("a body that does not hear is left behind after the grace, and tried again", async () => {
    const never = new Promise<never>(() => undefined);
    const deaf = agent({
      name: "deaf",
      run: (ctx) => ctx.step("call", { timeout: 10, retry: QUICK }, ({ attempt }) => (attempt === 1 ? never : attempt)),
    });
    const longhaul = await stage.worker([deaf], { graceMs: 20 });
    expect(await longhaul.run(deaf, null)).toBe(2);
  });
});

test("limits.activeMinutes ends a run that runs too long with run_timeout, and its step hears of it", async () => {
  let aborted = false;
  const endless = agent({
    name: "endless",
    limits: { activeMinutes: 0.002 },
    run: (ctx) =>
      ctx.step("call", async ({ abort }) => {
        await new Promise((resolve) => abort.addEventListener("abort", resolve));
        aborted = true;
      }),
  });
  const longhaul = await stage.worker([endless]);
  const handle = await longhaul.submit(endless, null);
  expect(await longhaul.wait(handle.runId)).toMatchObject({ status: "failed", reason: "run_timeout" });
  expect(aborted).toBe(true);
});

test("waiting does not count as running: a run that sleeps longer than limits.activeMinutes succeeds", async () => {
  const sleeper = agent({
    name: "sleeper",
    limits: { activeMinutes: 0.02 },
    async run(ctx) {
      await ctx.sleep(1_500);
      return "awake";
    },
  });
  const longhaul = await stage.worker([sleeper], { warmMs: 0 });
  expect(await longhaul.run(sleeper, null)).toBe("awake");
});
