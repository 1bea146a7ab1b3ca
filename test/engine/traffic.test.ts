// What workers count of their runs, and hand over: only when there is something, and nothing is lost when it cannot be stored.
import { expect, test } from "vitest";
import { waitBucket } from "../../src/domain/waits.ts";
import { Traffic } from "../../src/engine/traffic.ts";
import { agent } from "../../src/index.ts";
import { readTraffic, type TrafficCount } from "../../src/store/traffic.ts";
import { until, useStage } from "../support/longhaul.ts";

const stage = useStage();

test("a worker's runs are in the counts, with how long they had waited", async () => {
  const quick = agent({ name: "quick", queue: "busy", run: (ctx) => ctx.step("one", () => 1) });
  const broken = agent({
    name: "broken",
    queue: "busy",
    run: () => {
      throw new Error("no");
    },
  });
  const client = await stage.client([quick, broken]);
  const handles = [
    ...(await Promise.all([1, 2, 3].map(() => client.submit(quick, null)))),
    await client.submit(broken),
  ];
  const worker = await stage.worker([quick, broken]);
  for (const { runId } of handles) await client.wait(runId);
  await until(async () => (await client.load()).queues.find(({ queue }) => queue === "busy")?.workers === 1);
  // What was counted last is handed over at the end.
  await worker.close();
  const rows = (await readTraffic(stage.db)).filter((row) => row.queue === "busy" && row.build === stage.build);
  const sum = (of: (row: TrafficCount) => number): number => rows.reduce((all, row) => all + of(row), 0);
  expect(sum((row) => row.started)).toBe(4);
  expect(sum((row) => row.finished)).toBe(4);
  expect(sum((row) => row.waits.reduce((all, n) => all + n, 0))).toBe(4);
});

test("a run that waits and comes back is started twice and finished once", async () => {
  const twice = agent({ name: "twice", queue: "twice", run: (ctx) => ctx.signal("go") });
  const worker = await stage.worker([twice], { warmMs: 0 });
  const { runId } = await worker.submit(twice, null);
  await until(async () => (await worker.get(runId))?.status === "waiting");
  await worker.signal(runId, "go");
  await worker.wait(runId);
  await worker.close();
  const rows = (await readTraffic(stage.db)).filter((row) => row.queue === "twice");
  expect(rows.reduce((all, row) => all + row.started, 0)).toBe(2);
  expect(rows.reduce((all, row) => all + row.finished, 0)).toBe(1);
});

test("what could not be stored is handed over with the next", async () => {
  const traffic = new Traffic();
  const at = new Date();
  const stored: TrafficCount[] = [];
  const store = async (counts: readonly TrafficCount[]): Promise<void> => void stored.push(...counts);
  await traffic.flush(() => Promise.reject(new Error("nothing was counted: nobody is asked")));
  traffic.started({ queue: "q", ready_at: new Date(at.getTime() - 70), now_at: at });
  await expect(traffic.flush(() => Promise.reject(new Error("gone")))).rejects.toThrow("gone");
  traffic.started({ queue: "q", ready_at: null, now_at: at });
  traffic.finished("q");
  await traffic.flush(store);
  await traffic.flush(store);
  expect(stored).toMatchObject([{ queue: "q", started: 2, finished: 1 }]);
  expect(stored[0]?.waits[waitBucket(70)]).toBe(1);
});
