// Runs that kill the process they run in: found out, tried alone, contained; their neighbours go on.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { KIND } from "../../src/domain/entry.ts";
import type { LonghaulProcess, WorkerSettings } from "../../src/runtime/connect.ts";
import { journalOf, until, untilStatus, useStage } from "../support/longhaul.ts";
import { spawnWorker, startWorker, type WorkerProcess } from "../support/worker-process.ts";
import { agents } from "./deadly-agents.ts";

const stage = useStage();
const module = new URL("deadly-agents.ts", import.meta.url);
let folder = "";
const workers: WorkerProcess[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "longhaul-witness-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => Promise.all(workers.splice(0).map((worker) => worker.kill())));

const witnessFile = (): string => join(folder, crypto.randomUUID());
const lines = (file: string): string[] => {
  return existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean) : [];
};

async function work(settings: WorkerSettings = {}): Promise<WorkerProcess> {
  const worker = await startWorker({ url: stage.url, build: stage.build, module, settings });
  workers.push(worker);
  return worker;
}

/** What a supervisor does: starts a worker again when it dies, and frees its leases at once. Ends with the number of deaths. */
async function supervise(longhaul: LonghaulProcess, over: () => boolean): Promise<number> {
  for (let deaths = 0; ; deaths++) {
    const worker = await work();
    let dead = false;
    void worker.ended.then(() => {
      dead = true;
    });
    await until(() => dead || over(), 100_000);
    if (over()) return deaths;
    await longhaul.freeWorker(worker.workerId);
  }
}

test("kill -9 in mid-run: another worker goes on, no recorded body runs again (7, 53)", {
  timeout: 60_000,
}, async () => {
  const witness = witnessFile();
  const longhaul = await stage.client(agents);
  const first = await work();
  const handle = await longhaul.submit("walker", { witness });
  await until(() => lines(witness).length >= 5);
  await first.kill();
  expect(await longhaul.freeWorker(first.workerId)).toBe(1);
  await work();
  expect(await handle.result()).toBe("arrived");
  const walked = lines(witness);
  expect(new Set(walked).size).toBe(20);
  expect(walked.length).toBeLessThanOrEqual(21);
});

test("SIGTERM: the worker ends by itself, hands over, and no body runs twice", { timeout: 60_000 }, async () => {
  const witness = witnessFile();
  const longhaul = await stage.client(agents);
  const first = await work();
  const handle = await longhaul.submit("walker", { witness });
  await until(() => lines(witness).length >= 5);
  expect(await first.kill("SIGTERM")).toBe("0");
  expect((await longhaul.get(handle.runId))?.status).toBe("queued");
  await work();
  expect(await handle.result()).toBe("arrived");
  expect(lines(witness)).toHaveLength(20);
});

test("a run that kills its process again and again is quarantined; its neighbours are not, and finish (21)", {
  timeout: 120_000,
}, async () => {
  const witness = witnessFile();
  const longhaul = await stage.client(agents);
  const bad = await longhaul.submit("exiter", { witness });
  const good = await Promise.all(
    Array.from({ length: 3 }, () => longhaul.submit("walker", { witness: witnessFile(), n: 30 })),
  );
  let over = false;
  const supervised = supervise(longhaul, () => over);
  try {
    const paused = await until(async () => {
      const run = await longhaul.get(bad.runId);
      return run?.status === "paused" && run;
    }, 100_000);
    expect(paused.reason).toMatch(/^quarantined: the process that ran it died \d+ times without progress/);
    expect(await Promise.all(good.map((handle) => handle.result()))).toEqual(good.map(() => "arrived"));
  } finally {
    over = true;
  }
  const deaths = await supervised;
  expect(deaths).toBeGreaterThanOrEqual(3);
  expect(lines(witness)).toHaveLength(deaths);
});

test("a run that kills its process alone is quarantined at the third time (21)", { timeout: 120_000 }, async () => {
  const witness = witnessFile();
  const longhaul = await stage.client(agents);
  const handle = await longhaul.submit("exiter", { witness });
  for (let deaths = 0; deaths < 3; deaths++) {
    const worker = await work();
    expect(await worker.ended).toBe("3");
    await longhaul.freeWorker(worker.workerId);
  }
  expect(await longhaul.get(handle.runId)).toMatchObject({
    status: "paused",
    reason: "quarantined: the process that ran it died 3 times without progress",
  });
  expect(lines(witness)).toHaveLength(3);
});

test("a run that dies again and again but gets on each time is not quarantined (21)", {
  timeout: 120_000,
}, async () => {
  const witness = witnessFile();
  const longhaul = await stage.client(agents);
  const handle = await longhaul.submit("stumbler", { witness, n: 1 });
  const first = await work();
  expect(await first.ended).toBe("3");
  await longhaul.freeWorker(first.workerId);
  const [row] = await stage.db.query("select state, crashes from longhaul.live where run_id = $1", [handle.runId]);
  expect(row).toEqual({ state: "queued", crashes: 0 });
  await handle.cancel();
});

describe("tried alone", () => {
  test("a suspicious run is tried in a process of its own, and only a death there pauses it (21)", {
    timeout: 120_000,
  }, async () => {
    const witness = witnessFile();
    const supervisor = await stage.client(agents);
    const handle = await supervisor.submit("exiter", { witness });
    let alone = 0;
    for (let deaths = 0; deaths < 2; deaths++) {
      const worker = await work();
      await worker.ended;
      await supervisor.freeWorker(worker.workerId, { canIsolate: true });
    }
    expect(await supervisor.why(handle.runId)).toMatchObject({ code: "isolated", status: "queued" });
    const isolating = await stage.worker(agents, {
      isolate: (runId, workerId) => {
        alone += 1;
        return spawnWorker({ url: stage.url, build: stage.build, module, settings: { onlyRun: runId, workerId } });
      },
    });
    await untilStatus(isolating, handle.runId, "paused");
    expect(alone).toBe(1);
    expect(lines(witness)).toHaveLength(3);
    expect(await isolating.run("echo", "neighbour")).toBe("neighbour");
  });

  test("many innocent suspects are cleared side by side, and the guilty one among them is paused (21)", {
    timeout: 240_000,
  }, async () => {
    const witness = witnessFile();
    const innocents = 30;
    const supervisor = await stage.client(agents);
    const task = { witness, n: innocents };
    const bomb = await supervisor.submit("bomber", task);
    const waiters = await Promise.all(Array.from({ length: innocents }, () => supervisor.submit("waiter", task)));
    for (let deaths = 0; deaths < 2; deaths++) {
      const worker = await work({ slots: innocents + 1 });
      expect(await worker.ended).toBe("3");
      await supervisor.freeWorker(worker.workerId, { canIsolate: true });
    }
    const [suspects] = await stage.db.query("select count(*)::int as n from longhaul.live where isolate");
    expect(suspects).toEqual({ n: innocents + 1 });
    writeFileSync(`${witness}.open`, "");
    let alone = 0;
    let most = 0;
    await stage.worker(agents, {
      isolate: (runId, workerId) => {
        alone += 1;
        most = Math.max(most, alone);
        const settings = { onlyRun: runId, workerId };
        return spawnWorker({ url: stage.url, build: stage.build, module, settings }).once("exit", () => {
          alone -= 1;
        });
      },
    });
    expect(await Promise.all(waiters.map((handle) => handle.result()))).toEqual(waiters.map(() => "arrived"));
    await untilStatus(supervisor, bomb.runId, "paused");
    expect(most).toBe(Math.min(4, availableParallelism()));
    // Each went a step alone, and on among the others.
    for (const { runId } of waiters) {
      const entries = await journalOf(stage.db, runId);
      expect(entries.filter((entry) => entry.body?.includes("no longer suspected"))).toHaveLength(1);
      expect(new Set(entries.filter(({ kind }) => kind === KIND.step).map(({ epoch }) => epoch)).size).toBe(2);
    }
  });
});
