// Plans and tenants as a program uses them: what is set holds at once, and what cannot be is refused with a code.
import { describe, expect, test } from "vitest";
import { agent, connect } from "../../src/index.ts";
import { configuredPlans } from "../../src/runtime/limits.ts";
import { gate, rejection, until, useStage } from "../support/longhaul.ts";

const stage = useStage();
const echo = agent({ name: "echo", run: (_ctx, input) => input });

describe("a plan", () => {
  test("is made, replaced, listed and deleted; its tenants fall back to the default one", async () => {
    const longhaul = await stage.client();
    const budget = { usd: 2.5, per: "month" } as const;
    const free = { concurrency: 2, band: "background", unfinishedMax: 10, submitsPerMinute: 60, budget } as const;
    expect(await longhaul.plans.set("free", free)).toEqual({ plan: "free", weight: 1, tenants: 0, ...free });
    expect(await longhaul.tenants.setPlan("ann", "free")).toMatchObject({
      tenant: "ann",
      plan: "free",
      cap: 2,
      band: "background",
      unfinishedMax: 10,
      submitsPerMinute: 60,
      inFlight: 0,
      unfinished: 0,
      ready: 0,
      paused: false,
    });
    expect(await longhaul.plans.set("free", 3)).toMatchObject({ concurrency: 3, band: null, tenants: 1 });
    expect(await longhaul.tenants.get("ann")).toMatchObject({ cap: 3, band: null, unfinishedMax: null });
    expect((await longhaul.plans.list()).map(({ plan }) => plan)).toEqual(["default", "free"]);
    expect(await longhaul.plans.delete("free")).toEqual({ plan: "free", tenants: 1 });
    expect(await longhaul.tenants.get("ann")).toMatchObject({ plan: "default", cap: null });
  });

  test("that is unknown, unusable or the last resort is refused", async () => {
    const longhaul = await stage.client();
    const refused: [() => Promise<unknown>, string][] = [
      [() => longhaul.plans.delete("nobody's"), "PLAN_UNKNOWN"],
      [() => longhaul.plans.delete("default"), "PLAN_FIXED"],
      [() => longhaul.plans.delete("\u0000"), "KEY_INVALID"],
      [() => longhaul.plans.set("p", { weight: 0 }), "PLAN_INVALID"],
      [() => longhaul.plans.set("", 1), "KEY_INVALID"],
      [() => longhaul.tenants.setPlan("ann", "nobody's"), "PLAN_UNKNOWN"],
      [() => longhaul.tenants.setPlan("\ud800", "default"), "KEY_INVALID"],
      [() => longhaul.tenants.pause("nobody"), "TENANT_NOT_FOUND"],
      [() => longhaul.tenants.resume("nobody"), "TENANT_NOT_FOUND"],
      [() => longhaul.tenants.get(""), "KEY_INVALID"],
    ];
    for (const [ask, code] of refused) expect(await rejection(ask())).toMatchObject({ code });
    expect(await longhaul.tenants.get("nobody")).toBeNull();
  });

  test("of the configuration is written when it says something new, and stays otherwise", async () => {
    const open = (pro: number) => stage.client([], { plans: { pro } });
    const concurrency = async (of: Awaited<ReturnType<typeof open>>) =>
      (await of.plans.list()).find(({ plan }) => plan === "pro")?.concurrency;
    const first = await open(5);
    expect(await concurrency(first)).toBe(5);
    await first.plans.set("pro", 7);
    expect(await concurrency(await open(5))).toBe(7);
    expect(await concurrency(await open(6))).toBe(6);
  });

  test("of the configuration that cannot be is refused before anything is opened, with its place", async () => {
    const open = (plans: unknown) =>
      connect({ url: stage.url, migrate: false, plans: plans as Record<string, number> });
    for (const [plans, place] of [
      [{ free: { concurrency: -1 } }, "connect({ plans.free.concurrency })"],
      [{ free: { concurrency: Number.NaN } }, "connect({ plans.free.concurrency })"],
      [{ free: { weight: 1_001 } }, "connect({ plans.free.weight })"],
      [{ free: { band: "first" } }, "connect({ plans.free.band })"],
      [{ free: null }, "connect({ plans.free })"],
      [{ "\u0000": 1 }, "connect({ plans.\u0000 })"],
      [[], "connect({ plans })"],
    ] as const) {
      const error = await rejection(open(plans));
      expect(error).toMatchObject({ code: "CONFIG_INVALID", status: 400 });
      expect(error.message).toContain(place);
    }
    expect(configuredPlans(undefined, String)).toEqual([]);
  });
});

describe("a tenant", () => {
  test("that gets another plan is served at once, without anybody polling", async () => {
    const longhaul = await stage.worker([echo], { tickMs: 600_000 });
    await longhaul.plans.set("none", 0);
    await longhaul.tenants.setPlan("held", "none");
    const handle = await longhaul.tenant("held").submit(echo, 1);
    await until(async () => (await longhaul.tenants.get("held"))?.ready === 1);
    expect(await longhaul.tenants.get("held")).toMatchObject({ cap: 0, inFlight: 0, unfinished: 1 });
    await longhaul.tenants.setPlan("held", "default");
    expect(await handle.result()).toBe(1);
    expect(await longhaul.tenants.get("held")).toMatchObject({ ready: 0, unfinished: 0 });
  });

  test("that is paused starts nothing, takes submits, and goes on when it is resumed", async () => {
    const hold = gate();
    const holder = agent({ name: "holder", run: (ctx) => ctx.step("s", () => hold.opened) });
    const longhaul = await stage.worker([holder], { tickMs: 600_000 });
    const held = longhaul.tenant("p");
    const first = await held.submit(holder, 1);
    await until(async () => (await longhaul.tenants.get("p"))?.inFlight === 1);
    expect(await longhaul.tenants.pause("p")).toMatchObject({ paused: true, inFlight: 1 });
    const second = await held.submit(holder, 2);
    hold.open();
    await first.result();
    expect(await held.get(second.runId)).toMatchObject({ status: "queued" });
    expect(await longhaul.tenants.list({ paused: true })).toMatchObject([{ tenant: "p", paused: true, ready: 1 }]);
    expect(await longhaul.tenants.resume("p")).toMatchObject({ paused: false });
    await second.result();
  });

  test("is found page by page, in the order of names, whatever they are", async () => {
    const longhaul = await stage.client();
    await longhaul.plans.set("page", 1);
    const names = ["*", ":", "Z", "__proto__", "a", "é", "\u{1f600}"];
    for (const name of names.toReversed()) await longhaul.tenants.setPlan(name, "page");
    const found: string[] = [];
    for (let after: string | undefined; ; after = found.at(-1)) {
      const page = await longhaul.tenants.list({ plan: "page", limit: 2, after });
      found.push(...page.map(({ tenant }) => tenant));
      if (page.length < 2) break;
    }
    expect(found).toEqual(names);
  });
});
