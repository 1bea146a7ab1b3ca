// The process in which one system is measured: does what its parent says, and answers with times.
import { pathToFileURL } from "node:url";
import type { Answer, Order } from "./driver.ts";
import { Stage } from "./stage.ts";
import type { OpenSystem, System, Work } from "./system.ts";

const { LONGHAUL_BENCH_SYSTEM: file = "", LONGHAUL_BENCH_URL: url = "", LONGHAUL_BENCH_DYING: dying } = process.env;
/** More than any measurement runs at once. */
const SLOTS = 64;
let works = 0;

/** Answers waited for before a recovery goes on: the parent counts statements meanwhile. */
const acknowledged = new Map<string, () => void>();

const stage = new Stage(dying === "1", (mark, fields = {}) => {
  return new Promise((resolve) => {
    acknowledged.set(mark, resolve);
    tell({ type: "mark", mark, ...fields });
  });
});

function tell(answer: Answer): void {
  process.send?.(answer);
}

function work(kind: Work["kind"], steps: number): Work {
  works += 1;
  return { id: `${process.pid}-${works}`, kind, steps };
}

async function start(system: System, here: boolean): Promise<number> {
  const order = work("start", 0);
  const started = stage.started(order.id);
  const submittedMs = performance.now();
  await (here ? system.startHere?.(order) : system.submit(order));
  return (await started) - submittedMs;
}

async function obey(system: System, order: Order): Promise<void> {
  switch (order.type) {
    case "loop": {
      const { runs, steps } = order;
      const one = work("loop", steps);
      const times = stage.loop(one.id, runs);
      await Promise.all(Array.from({ length: runs }, () => system.submit(one)));
      return tell({ type: "done", times: await times });
    }
    case "start":
      return tell({ type: "done", ms: await start(system, order.here) });
    case "recover":
      await system.submit(work("recover", order.steps));
      return tell({ type: "done" });
    case "acknowledge":
      return acknowledged.get(order.mark)?.();
    case "close":
      await system.close();
      return process.disconnect();
  }
}

const { open } = (await import(pathToFileURL(file).href)) as { open: OpenSystem };
const system = await open(url, stage, SLOTS);
process.on("message", (order: Order) => {
  obey(system, order).catch((error: unknown) => {
    tell({ type: "failed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  });
});
tell({ type: "ready", version: system.version, canStartHere: system.startHere !== undefined });
