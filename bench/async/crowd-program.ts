// Many agents that wait for a model most of the time, in a process of their own: as runs of one worker, or with a thread for each.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { generateText } from "ai";
import { agent, connect } from "../../src/index.ts";

/** What the process is told. */
export interface CrowdOrder {
  readonly type: "go";
  readonly agents: number;
  readonly calls: number;
}

export type CrowdNews =
  | { readonly type: "ready" }
  | { readonly type: "done"; readonly ms: number; readonly heapBytes: number; readonly residentBytes: number };

const url = process.env["CROWD_DATABASE"] ?? "";
const baseUrl = process.env["CROWD_PROVIDER"] ?? "";
const apiKey = process.env["CROWD_KEY"] ?? "";
const callMs = Number(process.env["CROWD_CALL_MS"]);

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

type Crowd = (agents: number, calls: number) => Promise<void>;

async function runs(): Promise<Crowd> {
  const caller = agent({
    name: "caller",
    async run(ctx, input) {
      const { calls, number } = input as { calls: number; number: number };
      const model = ctx.model("provider/model");
      for (let call = 0; call < calls; call++)
        await generateText({ model, prompt: `${number}: question ${call}`, maxRetries: 0 });
    },
  });
  const gateway = { providers: { provider: { kind: "openai", api: "chat", baseUrl, apiKey } } } as const;
  const longhaul = await connect({ url, agents: [caller], worker: { slots: 1_000 }, gateway });
  return async (agents, calls) => {
    const items = Array.from({ length: agents }, (_, number) => ({ agent: caller, input: { calls, number } }));
    const answers = await longhaul.submitMany(items);
    await Promise.all(
      answers.map((answer) => {
        if ("error" in answer) throw answer.error;
        return answer.run.result();
      }),
    );
  };
}

/** The same without a runtime: each agent has a thread, and nothing survives anything. */
async function threads(): Promise<Crowd> {
  return async (agents, calls) => {
    await Promise.all(
      Array.from(
        { length: agents },
        (_, number) =>
          new Promise<void>((resolve, reject) => {
            const workerData = { baseUrl, apiKey, calls, number };
            const thread = new Worker(new URL("thread.mjs", import.meta.url), { workerData, execArgv: [] });
            thread.on("error", reject);
            thread.on("exit", () => resolve());
          }),
      ),
    );
  };
}

const crowd = await (process.env["CROWD_KIND"] === "threads" ? threads() : runs());
await crowd(60, 2);
process.on("message", async (order: CrowdOrder | { type: "close" }) => {
  if (order.type === "close") process.exit(0);
  collect();
  const before = process.memoryUsage();
  const startedMs = performance.now();
  const over = crowd(order.agents, order.calls);
  // In the middle of everything, when all of them wait.
  await new Promise((resolve) => setTimeout(resolve, (order.calls * callMs) / 2));
  collect();
  const during = process.memoryUsage();
  await over;
  const ms = performance.now() - startedMs;
  const heapBytes = during.heapUsed + during.external - before.heapUsed - before.external;
  process.send?.({ type: "done", ms, heapBytes, residentBytes: during.rss - before.rss } satisfies CrowdNews);
});
process.send?.({ type: "ready" } satisfies CrowdNews);
