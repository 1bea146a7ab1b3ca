// Work is found without any hint: behind a transaction pooler, which takes LISTEN and never delivers, looking by itself is all a worker has.
import { afterAll, beforeAll, expect, test } from "vitest";
import { Doorbell } from "../../src/engine/doorbell.ts";
import { PollPace } from "../../src/engine/poll-pace.ts";
import { agent, connect } from "../../src/index.ts";
import { openDatabase } from "../../src/store/database.ts";
import { until } from "../support/longhaul.ts";
import { type Pooler, startPooler } from "../support/pooler.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";

let fresh: FreshDatabase;
let pooler: Pooler;
beforeAll(async () => {
  fresh = await freshDatabase();
  pooler = await startPooler(fresh.url);
});
afterAll(async () => {
  await pooler.close();
  await fresh.drop();
});

test("a worker behind a transaction pooler finds runs, signals and timers of others by polling alone", async () => {
  const patient = agent({
    name: "patient",
    async run(ctx) {
      const first = await ctx.step("first", () => 1);
      await ctx.sleep(400);
      const heard = (await ctx.signal("go")) as number;
      return first + heard;
    },
  });
  const worker = await connect({ url: pooler.url, agents: [patient], migrate: false });
  const client = await connect({ url: pooler.url, agents: [patient], worker: false, migrate: false });
  try {
    for (let round = 1; round <= 3; round++) {
      const { runId } = await client.submit(patient, null);
      await until(async () => (await client.get(runId))?.status === "waiting");
      await client.signal(runId, "go", round);
      expect(await client.wait(runId)).toEqual({ status: "succeeded", output: 1 + round });
    }
  } finally {
    await client.close();
    await worker.close();
  }
}, 60_000);

test("a doorbell says that hints arrive only when one has", async () => {
  const [direct, pooled] = [openDatabase({ url: fresh.url, max: 2 }), openDatabase({ url: pooler.url, max: 2 })];
  const [heard, deaf] = [new Doorbell(direct), new Doorbell(pooled)];
  await Promise.all([heard.open(), deaf.open()]);
  await until(() => heard.connected);
  // What reaches the one would have reached the other.
  let told = 0;
  heard.on("ready", () => (told += 1));
  const before = told;
  deaf.ring("ready", "somebody");
  await until(() => told > before);
  expect(deaf.connected).toBe(false);
  await Promise.all([heard.close(), deaf.close()]);
  await Promise.all([direct.end(), pooled.end()]);
});

test("the pace is the tick where hints arrive, and slows down to it where none do", () => {
  const near = (expectedMs: number) => (ms: number) => ms >= expectedMs * 0.9 && ms <= expectedMs * 1.1;
  const pace = new PollPace(1_000);
  expect([1, 2, 3].map(() => pace.next(true)).every(near(1_000))).toBe(true);
  pace.found();
  const looks = Array.from({ length: 8 }, () => pace.next(false));
  expect(looks.map((ms, n) => near(Math.min(200 * 1.5 ** n, 1_000))(ms))).toEqual(looks.map(() => true));
  pace.found();
  expect(near(200)(pace.next(false))).toBe(true);
  expect(near(50)(new PollPace(50).next(false))).toBe(true);
  // Workers that were started together do not ask together for ever.
  expect(new Set(Array.from({ length: 20 }, () => pace.next(true))).size).toBeGreaterThan(10);
});
