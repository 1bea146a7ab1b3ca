// A worker process of its own for claims about several processes: runs the agents below and tells its parent what happens in them.
import { agent, connect } from "../../src/index.ts";

/** What the worker tells. Moments are milliseconds since 1970 with fractions, comparable between processes of one machine. */
export type WorkerNews =
  | { readonly type: "ready"; readonly workerId: string | null; readonly rssMb: number; readonly heapMb: number }
  | { readonly type: "line"; readonly runId: string; readonly atMs: number }
  | { readonly type: "memory"; readonly rssMb: number; readonly heapMb: number };

/** Shorter than anybody would want it. */
export interface BenchRetention {
  readonly keepMs: number;
  readonly everyMs: number;
}

export interface Telling {
  readonly words: number;
  readonly everyMs: number;
  readonly mute: boolean;
}

const { LONGHAUL_BENCH_URL: url = "", LONGHAUL_BENCH_RETENTION: short = "null" } = process.env;
const retention = JSON.parse(short) as BenchRetention | null;

function tell(news: WorkerNews): void {
  process.send?.(news);
}

function line(runId: string): void {
  tell({ type: "line", runId, atMs: performance.timeOrigin + performance.now() });
}

function memory(): { rssMb: number; heapMb: number } {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  return { rssMb: rss / 2 ** 20, heapMb: heapUsed / 2 ** 20 };
}

/** Says when its first line runs. */
const first = agent({ name: "first", run: (ctx) => line(ctx.runId) });

/** Works in steps of 50 ms until it is told to stop, and says when each begins. */
const busy = agent({
  name: "busy",
  async run(ctx) {
    for (;;) {
      await ctx.step("work", async ({ abort }) => {
        line(ctx.runId);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 50);
          abort.addEventListener("abort", () => {
            clearTimeout(timer);
            resolve();
          });
        });
      });
    }
  },
});

/** Asks a person, and says when the answer has come. */
const asking = agent({
  name: "asking",
  async run(ctx) {
    await ctx.approval("go", null);
    line(ctx.runId);
  },
});

/** One step that lasts `words` pauses, and says after each what time it is unless it is mute. */
const telling = agent({
  name: "telling",
  run: (ctx, input) =>
    ctx.step("tell", async ({ stream }) => {
      const { words, everyMs, mute } = input as Telling;
      for (let i = 0; i < words; i++) {
        await new Promise((resolve) => setTimeout(resolve, everyMs));
        if (!mute) stream.write(`${(performance.timeOrigin + performance.now()).toFixed(2)} `);
      }
    }),
});

/** Does nothing, as fast as it can. */
const nothing = agent({ name: "nothing", run: () => null });

const longhaul = await connect({
  url,
  agents: [first, busy, asking, telling, nothing],
  worker: { slots: 500, ...(retention && { retentionEveryMs: retention.everyMs }) },
  ...(retention && { retention: { finished: retention.keepMs, failed: retention.keepMs } }),
});
process.on("message", (order: string) => {
  if (order === "memory") tell({ type: "memory", ...memory() });
  if (order === "close") void longhaul.close().then(() => process.disconnect());
});
tell({ type: "ready", workerId: longhaul.workerId, ...memory() });
