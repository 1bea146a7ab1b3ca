// The process in which one queue is measured: does what its parent says, and answers with times.
import { pathToFileURL } from "node:url";
import { pause, until } from "../lab/until.ts";
import { seconds, together } from "../queue/crowd.ts";
import type { JobSystem, OpenJobSystem } from "./system.ts";

export type JobOrder =
  | { readonly type: "submit"; readonly jobs: number; readonly batch: number; readonly clients: number }
  | { readonly type: "drain"; readonly jobs: number }
  | { readonly type: "latency"; readonly times: number }
  | { readonly type: "close" };

export type JobAnswer =
  | { readonly type: "ready"; readonly version: string; readonly settings: string }
  | { readonly type: "submitted"; readonly seconds: number }
  | { readonly type: "drained"; readonly seconds: number }
  | { readonly type: "waits"; readonly ms: readonly number[] }
  | { readonly type: "failed"; readonly message: string };

export interface JobTask {
  readonly file: string;
  readonly url: string;
  readonly slots: number;
}

const PATIENCE_MS = 300_000;
const { file, url, slots } = JSON.parse(process.env["LONGHAUL_BENCH_TASK"] ?? "{}") as JobTask;

function tell(answer: JobAnswer): void {
  process.send?.(answer);
}

async function submit(system: JobSystem, jobs: number, batch: number, clients: number): Promise<number> {
  let left = jobs;
  return seconds(() =>
    together(clients, async () => {
      while (left > 0) {
        left -= batch;
        await system.submit(batch);
      }
    }),
  );
}

/** From the first job until the last is recorded as done: starting up and stopping do not count. */
async function drain(system: JobSystem, jobs: number): Promise<number> {
  let done = 0;
  let startedMs = 0;
  const stop = await system.work(() => {
    if (done === 0) startedMs = performance.now();
    done += 1;
  });
  await until("every job executed", PATIENCE_MS, () => done >= jobs);
  await until("every job recorded", PATIENCE_MS, async () => !(await system.hasWork()));
  const tookSeconds = (performance.now() - startedMs) / 1_000;
  await stop();
  return tookSeconds;
}

/** Milliseconds from the call that submits one job to its first line, with pauses between them. */
async function latency(system: JobSystem, times: number): Promise<number[]> {
  let heard = (): void => undefined;
  const stop = await system.work(() => heard());
  const waits: number[] = [];
  for (let count = -3; count < times; count++) {
    await pause(100 + Math.random() * 200);
    const started = new Promise<void>((resolve) => {
      heard = resolve;
    });
    const submittedMs = performance.now();
    await Promise.all([
      system.submit(1),
      started.then(() => count >= 0 && waits.push(performance.now() - submittedMs)),
    ]);
  }
  await stop();
  return waits;
}

async function obey(system: JobSystem, order: JobOrder): Promise<void> {
  switch (order.type) {
    case "submit":
      return tell({ type: "submitted", seconds: await submit(system, order.jobs, order.batch, order.clients) });
    case "drain":
      return tell({ type: "drained", seconds: await drain(system, order.jobs) });
    case "latency":
      return tell({ type: "waits", ms: await latency(system, order.times) });
    case "close":
      await system.close();
      return process.disconnect();
  }
}

const { open } = (await import(pathToFileURL(file).href)) as { open: OpenJobSystem };
const system = await open(url, slots);
process.on("message", (order: JobOrder) => {
  obey(system, order).catch((error: unknown) => {
    tell({ type: "failed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  });
});
tell({ type: "ready", version: system.version, settings: system.settings });
