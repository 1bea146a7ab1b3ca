// API keys in a program: what is kept of them, what they open and for how long, and what they cost.
import { afterEach, describe, expect, test, vi } from "vitest";
import { makeApiKey } from "../../src/domain/api-key.ts";
import { agent } from "../../src/index.ts";
import type { CreateKey, NewKey } from "../../src/runtime/keys-api.ts";
import { rejection, until, useStage } from "../support/longhaul.ts";

const stage = useStage();
const acme = { tenant: "acme" };
afterEach(() => vi.restoreAllMocks());

describe("a new key", () => {
  test("is shown once; only the hash of its secret is kept", async () => {
    const { keys } = await stage.client();
    const made = await keys.create({ ...acme, name: "ci", scopes: ["read", "admin"], by: "ann" });
    expect(made).toMatchObject({
      tenant: "acme",
      name: "ci",
      scopes: ["runs:read", "admin"],
      state: "active",
      createdBy: "ann",
      expiresAt: null,
      lastUsedAt: null,
    });
    expect(made.token.startsWith(`${made.prefix}_`)).toBe(true);
    const { token: _token, ...view } = made;
    expect((await keys.list({ tenant: "acme" }))[0]).toEqual(view);
    const secret = made.token.split("_")[2]?.slice(0, 43) ?? "";
    const [row] = await stage.db.query<{ text: string }>(
      "select k::text as text from longhaul.api_keys k where key_id = $1",
      [made.keyId],
    );
    for (const form of [secret, Buffer.from(secret).toString("hex")]) expect(row?.text).not.toContain(form);
    expect(await keys.holder(made.token)).toEqual({
      keyId: made.keyId,
      tenant: "acme",
      scopes: ["runs:read", "admin"],
      by: `ci (${made.keyId})`,
    });
  });

  test.each([
    ["any text", "ünïcødé 北京 👩‍🚀 ../*:%00'\";--"],
    ["control characters", "a\u0001\u001b[31m\n"],
    ["512 bytes", "x".repeat(512)],
  ])("is for a tenant of any name: %s", async (_, tenant) => {
    const { keys } = await stage.client();
    const made = await keys.create({ tenant });
    expect((await keys.holder(made.token)).tenant).toBe(tenant);
    expect((await keys.list({ tenant })).map(({ keyId }) => keyId)).toEqual([made.keyId]);
  });

  test.each<[string, CreateKey, string]>([
    ["no tenant", { tenant: "" }, "KEY_INVALID"],
    ["64 KiB of tenant", { tenant: "x".repeat(65_536) }, "KEY_INVALID"],
    ["NUL in it", { tenant: "a\u0000" }, "KEY_INVALID"],
    ["half a character", { tenant: "\ud800" }, "KEY_INVALID"],
    ["an empty name", { ...acme, name: "" }, "KEY_INVALID"],
    ["a name of 64 KiB", { ...acme, name: "x".repeat(65_536) }, "KEY_INVALID"],
    ["an unknown scope", { ...acme, scopes: ["runs:*"] }, "SCOPE_UNKNOWN"],
    ["no scope", { ...acme, scopes: [] }, "SCOPE_UNKNOWN"],
    ["a day that was", { ...acme, expires: "2020-01-31" }, "EXPIRY_INVALID"],
    ["a day there is not", { ...acme, expires: "2030-13-45" }, "EXPIRY_INVALID"],
    ["a moment ago", { ...acme, expires: new Date(Date.now() - 1) }, "EXPIRY_INVALID"],
    ["no moment", { ...acme, expires: new Date(Number.NaN) }, "EXPIRY_INVALID"],
    ["no time at all", { ...acme, expires: 0 }, "EXPIRY_INVALID"],
    ["far too long", { ...acme, expires: "9999-01-01T00:00Z" }, "EXPIRY_INVALID"],
    ["a negative time", { ...acme, expires: -5 }, "DURATION_INVALID"],
    ["words", { ...acme, expires: "soon" }, "DURATION_INVALID"],
    ["a plan nobody knows", { ...acme, plan: "gold" }, "PLAN_UNKNOWN"],
  ])("with %s is refused, and not kept", async (_, options, code) => {
    const { keys } = await stage.client();
    const before = await keys.list({ limit: 200 });
    expect((await rejection(keys.create(options))).code).toBe(code);
    expect(await keys.list({ limit: 200 })).toEqual(before);
  });

  test.each([
    ["90 days", 90 * 86_400_000],
    [{ hours: 1 }, 3_600_000],
  ])("expires after %j", async (expires, ms) => {
    const { keys } = await stage.client();
    const { createdAt, expiresAt } = await keys.create({ ...acme, expires });
    expect(Math.round((Date.parse(String(expiresAt)) - Date.parse(createdAt)) / 1_000)).toBe(ms / 1_000);
  });

  test("expires on a day", async () => {
    const { keys } = await stage.client();
    const day = new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10);
    expect((await keys.create({ ...acme, expires: day })).expiresAt?.slice(0, 16)).toMatch(
      new RegExp(`^(${day}T00:00|.*T23:59)$`),
    );
  });
});

describe("an end", () => {
  test("by revocation is once, and its first author stays", async () => {
    const { keys } = await stage.client();
    const made = await keys.create(acme);
    const first = await keys.revoke(made.token, { by: "ann" });
    expect(first).toMatchObject({ state: "revoked", revokedBy: "ann" });
    expect(await keys.revoke(made.prefix, { by: "bob" })).toEqual(first);
    expect((await rejection(keys.holder(made.token))).code).toBe("API_KEY_REVOKED");
  });

  test("by time", async () => {
    const { keys } = await stage.client();
    const made = await keys.create({ ...acme, expires: 50 });
    await until(async () => (await keys.list({ limit: 1 }))[0]?.state === "expired");
    expect((await rejection(keys.holder(made.token))).code).toBe("API_KEY_EXPIRED");
    expect(await rejection(keys.rotate(made.keyId))).toMatchObject({
      code: "API_KEY_ENDED",
      message: expect.stringContaining("expired"),
    });
  });

  test("is told only to who has the whole key", async () => {
    const { keys } = await stage.client();
    const made = await keys.create(acme);
    await keys.revoke(made.keyId);
    const guess = tokenWith(made.keyId);
    expect((await rejection(keys.holder(guess))).code).toBe("API_KEY_UNKNOWN");
  });
});

describe("rotation", () => {
  test("gives the same rights and length of life; the old key works for the grace", async () => {
    const { keys } = await stage.client();
    const old = await keys.create({ ...acme, name: "ci", scopes: ["read"], expires: "10 days" });
    const next = await keys.rotate(old.keyId, { grace: "1 day", by: "ann" });
    expect(next).toMatchObject({ tenant: "acme", name: "ci", scopes: ["runs:read"], createdBy: "ann" });
    expect(next.keyId).not.toBe(old.keyId);
    expect(daysOf(next)).toBe(10);
    const after = (await keys.list({ limit: 200 })).find(({ keyId }) => keyId === old.keyId);
    expect(after).toMatchObject({ state: "active", replacedBy: next.keyId });
    expect(daysOf(after ?? next)).toBe(1);
    for (const { token } of [old, next]) expect((await keys.holder(token)).tenant).toBe("acme");
  });

  test("never prolongs the old key", async () => {
    const { keys } = await stage.client();
    const old = await keys.create({ ...acme, expires: "1 hour" });
    await keys.rotate(old.keyId, { grace: "30 days" });
    const [after] = (await keys.list({ limit: 200 })).filter(({ keyId }) => keyId === old.keyId);
    expect(after?.expiresAt).toBe(old.expiresAt);
  });

  test("without grace ends the old key now", async () => {
    const { keys } = await stage.client();
    const old = await keys.create(acme);
    const next = await keys.rotate(old.keyId, { grace: 0 });
    expect((await rejection(keys.holder(old.token))).code).toBe("API_KEY_EXPIRED");
    expect((await keys.holder(next.token)).keyId).toBe(next.keyId);
  });

  test("happens once, however many ask at the same time; a revoked key has none", async () => {
    const { keys } = await stage.client();
    const old = await keys.create(acme);
    const asked = await Promise.allSettled([1, 2, 3, 4].map(() => keys.rotate(old.keyId)));
    expect(asked.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const one of asked) if (one.status === "rejected") expect(one.reason).toMatchObject({ code: "API_KEY_ENDED" });
    const gone = await keys.create(acme);
    await keys.revoke(gone.keyId);
    expect(await rejection(keys.rotate(gone.keyId))).toMatchObject({ code: "API_KEY_ENDED", status: 409 });
  });

  test.each(["", "nope", "x".repeat(1_048_576), "\u0000", "Q7v0bC2xYz1"])(
    "of what is no key (%.12s) is refused",
    async (key) => {
      const { keys } = await stage.client();
      for (const ask of [() => keys.rotate(key), () => keys.revoke(key)]) {
        const error = await rejection(ask());
        expect(error).toMatchObject({ code: "API_KEY_NOT_FOUND", status: 404 });
        expect(error.message.length).toBeLessThan(100);
      }
    },
  );
});

describe("what a process knows of keys", () => {
  test("costs no query while it is fresh, and is never older than a second", async () => {
    const [here, there] = [await stage.client(), await stage.client()];
    const made = await there.keys.create(acme);
    const clock = stoppedClock();
    const asked = countQueries(here);
    await here.keys.holder(made.token);
    await until(() => asked("lh_touch_keys") === 1);
    expect(asked("lh_held_keys")).toBe(1);
    clock.advance(899);
    for (let i = 0; i < 1_000; i++) await here.keys.holder(made.token);
    expect([asked("lh_held_keys"), asked("lh_touch_keys")]).toEqual([1, 1]);
    await there.keys.revoke(made.keyId);
    // What it says at this age is still allowed to be the old truth; the next request a moment later is not.
    clock.advance(102);
    expect((await rejection(here.keys.holder(made.token))).code).toBe("API_KEY_REVOKED");
    expect(asked("lh_held_keys")).toBe(2);
  });

  test("is renewed beside the requests, in one query for all keys", async () => {
    const here = await stage.client();
    const made = await Promise.all(Array.from({ length: 20 }, () => here.keys.create(acme)));
    const clock = stoppedClock();
    const asked = countQueries(here);
    await Promise.all(made.map(({ token }) => here.keys.holder(token)));
    const atFirst = asked("lh_held_keys");
    clock.advance(950);
    await Promise.all(made.map(({ token }) => here.keys.holder(token)));
    await until(() => asked("lh_held_keys") === atFirst + 1);
    clock.advance(60);
    for (const { token } of made) await here.keys.holder(token);
    expect(asked("lh_held_keys")).toBe(atFirst + 1);
  });

  test("does not grow with guesses, and guesses do not flood the database", async () => {
    const here = await stage.client();
    const asked = countQueries(here);
    const guesses = Array.from({ length: 500 }, () => tokenWith());
    for (let round = 0; round < 4; round++) {
      const told = await Promise.all(guesses.map((token) => rejection(here.keys.holder(token))));
      expect(new Set(told.map(({ code }) => code))).toEqual(new Set(["API_KEY_UNKNOWN"]));
    }
    expect(asked("lh_held_keys")).toBeLessThanOrEqual(3);
    for (let i = 0; i < 1_000; i++) await rejection(here.keys.holder(`lh_garbage${i}`));
    expect(asked("lh_held_keys")).toBeLessThanOrEqual(3);
  });

  test("is nothing when the database does not answer", async () => {
    const here = await stage.client();
    const made = await here.keys.create(acme);
    const clock = stoppedClock();
    await here.keys.holder(made.token);
    vi.spyOn(here.database, "query").mockRejectedValue(Object.assign(new Error("gone"), { code: "ECONNREFUSED" }));
    expect((await here.keys.holder(made.token)).tenant).toBe("acme");
    clock.advance(1_001);
    expect((await rejection(here.keys.holder(made.token))).code).toBe("DATABASE_UNAVAILABLE");
    expect((await rejection(here.keys.holder(tokenWith()))).code).toBe("DATABASE_UNAVAILABLE");
  });

  test("its last use is kept to the minute, beside the request", async () => {
    const here = await stage.client();
    const made = await here.keys.create(acme);
    const clock = stoppedClock();
    const asked = countQueries(here);
    const lastUse = async () =>
      (await here.keys.list({ limit: 200 })).find((key) => key.keyId === made.keyId)?.lastUsedAt;
    for (let i = 0; i < 10; i++) await here.keys.holder(made.token);
    const first = await until(lastUse);
    clock.advance(59_000);
    await here.keys.holder(made.token);
    expect(asked("lh_touch_keys")).toBe(1);
    clock.advance(2_000);
    await here.keys.holder(made.token);
    await until(() => asked("lh_touch_keys") === 2);
    // By the database's clock no minute has passed: another process may have noted it meanwhile.
    expect(await lastUse()).toBe(first);
  });
});

test("a first key is asked for within a second on every process, and ever after", async () => {
  const fresh = await stage.client([], { schema: "no_keys_yet", migrate: true });
  const other = await stage.client([], { schema: "no_keys_yet" });
  const clock = stoppedClock();
  expect(await fresh.keys.required()).toBe(false);
  const asked = countQueries(fresh);
  clock.advance(800);
  expect(await fresh.keys.required()).toBe(false);
  expect(asked("lh_has_keys")).toBe(0);
  const made = await other.keys.create(acme);
  clock.advance(201);
  expect(await fresh.keys.required()).toBe(true);
  await other.keys.revoke(made.keyId);
  await stage.db.query("delete from no_keys_yet.api_keys");
  clock.advance(10_000);
  expect(await fresh.keys.required()).toBe(true);
});

test("a run's id that another tenant has is neither taken over nor said to be there", async () => {
  const echo = agent({ name: "echo", run: (_ctx, input) => input });
  const longhaul = await stage.client([echo]);
  const { runId } = await longhaul.tenant("acme").submit(echo, 1, { idempotencyKey: "k" });
  for (const options of [{ runId }, { runId, idempotencyKey: "k" }])
    expect(await rejection(longhaul.tenant("eve").submit(echo, 1, options))).toMatchObject({ code: "RUN_ID_TAKEN" });
  expect(await longhaul.tenant("eve").list()).toEqual([]);
  expect((await longhaul.tenant("acme").submit(echo, 1, { runId })).existing).toBe(true);
});

/** A key that nobody made, or another secret of one that somebody did. */
function tokenWith(keyId?: string): string {
  const bytes = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  for (;;) {
    const made = makeApiKey(keyId === undefined ? bytes(8) : bytesOf(keyId), bytes(32));
    if (keyId === undefined || made.keyId === keyId) return made.token;
  }
}

function bytesOf(keyId: string): Uint8Array {
  const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  let value = 0n;
  for (const digit of keyId) value = value * 62n + BigInt(digits.indexOf(digit));
  return Uint8Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(8 * (7 - i))) & 255n));
}

function daysOf({ expiresAt }: Pick<NewKey, "expiresAt">): number {
  return Math.round((Date.parse(String(expiresAt)) - Date.now()) / 86_400_000);
}

/** The monotonic clock moves only when it is told to. */
function stoppedClock() {
  let now = performance.now();
  vi.spyOn(performance, "now").mockImplementation(() => now);
  return {
    advance: (ms: number) => {
      now += ms;
    },
  };
}

function countQueries(longhaul: { readonly database: object }): (name: string) => number {
  const spy = vi.spyOn(longhaul.database as { query(...args: unknown[]): unknown }, "query");
  return (name) => spy.mock.calls.filter((call) => call[2] === name).length;
}
