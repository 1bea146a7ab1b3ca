import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { AttemptTimeout } from "../../src/gateway/timeout.ts";
import { watched } from "../../src/gateway/watchdog.ts";

const never = new AbortController().signal;
const hang = () => new Promise<never>(() => undefined);

test("an attempt that ends in its time gives what it gives", async () => {
  const limits = { timeoutMs: 5_000, openMs: null, idleMs: 5_000 };
  expect(await watched(limits, never, async () => 7)).toBe(7);
  await expect(watched(limits, never, async () => Promise.reject(new Error("no")))).rejects.toThrow("no");
});

test("work that hangs and does not listen is given up after the whole time, and told", async () => {
  let told: AbortSignal | undefined;
  const limits = { timeoutMs: 30, openMs: null, idleMs: 5_000 };
  const given = watched(limits, never, (abort) => {
    told = abort;
    return hang();
  });
  await expect(given).rejects.toMatchObject({ name: "AttemptTimeout", phase: "attempt" });
  expect(told?.aborted).toBe(true);
  expect(told?.reason).toBeInstanceOf(AttemptTimeout);
});

test("a stream that never opens, or falls silent after it opened, is given up as idle", async () => {
  const limits = { timeoutMs: 60_000, openMs: 30, idleMs: 30 };
  await expect(watched(limits, never, hang)).rejects.toMatchObject({ phase: "idle" });
  await expect(
    watched({ ...limits, openMs: 60_000 }, never, async (_, alive) => {
      alive();
      return hang();
    }),
  ).rejects.toMatchObject({ phase: "idle" });
});

test("signs of life keep it going for longer than the silence it may keep", async () => {
  const limits = { timeoutMs: 60_000, openMs: 200, idleMs: 200 };
  const done = await watched(limits, never, async (_, alive) => {
    for (let i = 0; i < 10; i += 1) {
      await pause(50);
      alive();
    }
    return "whole";
  });
  expect(done).toBe("whole");
});

test("the caller's own signal ends it with the caller's reason, also before it began", async () => {
  const caller = new AbortController();
  const limits = { timeoutMs: 60_000, openMs: null, idleMs: 60_000 };
  const given = watched(limits, caller.signal, hang);
  const reason = new Error("cancelled by a person");
  caller.abort(reason);
  await expect(given).rejects.toBe(reason);
  await expect(watched(limits, caller.signal, async () => 1)).rejects.toBe(reason);
});
