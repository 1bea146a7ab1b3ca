// The process that is killed, frozen and cut off: waits for its orders, then runs a workload through the proxy.
import { connect } from "../../src/index.ts";
import { acknowledge, witness } from "./witness.ts";
import { insistently, workloadNamed } from "./workloads.ts";

export interface Orders {
  readonly url: string;
  readonly workload: string;
  /** The witness's file. */
  readonly file: string;
  readonly leaseMs: number;
}

/** Nobody is left to watch: an orphan must not go on. */
process.on("disconnect", () => process.exit(0));
process.once("message", (orders: Orders) => void obey(orders));
process.send?.("ready");

async function obey({ url, workload, file, leaseMs }: Orders): Promise<void> {
  const { agents, gateway, victim, warmMs, submit } = workloadNamed(workload);
  const onBody = (step: string): void => witness(file, step);
  const longhaul = await insistently(() =>
    connect({
      url,
      agents: agents(onBody),
      ...(gateway === undefined ? {} : { gateway: gateway(onBody) }),
      worker: victim !== "client" ? { leaseMs, tickMs: 100, warmMs, graceMs: 150, drainMs: 100 } : false,
      migrate: false,
      log: (level, message, fields) => {
        if (level !== "debug") console.error(`${level}: ${message}`, fields ?? "");
      },
    }),
  );
  if (victim === "worker") return;
  await submit(longhaul, (ack, runId) => acknowledge(file, { ack, runId }));
  await longhaul.close();
  process.exit(0);
}
