// A worker process whose agent does nothing, or keeps its slot for a while. Begins when told, so that all begin together.
import { agent, connect } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { pause } from "../lab/until.ts";
import { AGENT } from "./store.ts";

export type WorkerOrder = { readonly type: "work" } | { readonly type: "close" };
export type WorkerNews =
  | { readonly type: "ready" }
  | { readonly type: "working"; readonly workerId: string }
  | { readonly type: "failed"; readonly message: string };

export interface WorkerTask {
  readonly url: string;
  readonly slots?: number;
  /** How long a run keeps its slot, at most; default: not at all. */
  readonly holdMs?: number;
  readonly leaseMs?: number;
}

const { url, slots = 64, holdMs = 0, leaseMs } = JSON.parse(process.env["LONGHAUL_BENCH_TASK"] ?? "{}") as WorkerTask;
let longhaul: LonghaulProcess | null = null;

function tell(news: WorkerNews): void {
  process.send?.(news);
}

const trivial = agent({
  name: AGENT,
  run: () => (holdMs === 0 ? null : pause(Math.random() * holdMs).then(() => null)),
});

async function obey(order: WorkerOrder): Promise<void> {
  if (order.type === "work") {
    longhaul = await connect({
      url,
      agents: [trivial],
      worker: { slots, ...(leaseMs === undefined ? {} : { leaseMs }) },
    });
    tell({ type: "working", workerId: longhaul.workerId ?? "" });
  } else {
    await longhaul?.close();
    process.disconnect();
  }
}

process.on("message", (order: WorkerOrder) => {
  obey(order).catch((error: unknown) => {
    tell({ type: "failed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  });
});
tell({ type: "ready" });
