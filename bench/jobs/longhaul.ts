// Longhaul as a job queue, as a user would run it.
import { agent, connect } from "../../src/index.ts";
import { hasWork, openStore } from "../queue/store.ts";
import type { OpenJobSystem } from "./system.ts";

export const open: OpenJobSystem = async (url, slots) => {
  let heard = (): void => undefined;
  const job = agent({
    name: "job",
    run: () => {
      heard();
      return null;
    },
  });
  const client = await connect({ url, agents: [job], worker: false });
  // Where a worker runs, one connects once.
  let here = client;
  const store = openStore(url, 1);
  return {
    version: "this one",
    settings: "each run is on the disk when accepted and when ended (fsync); everything as it comes",
    submit: async (count) => {
      await Promise.all(Array.from({ length: count }, () => here.submit(job, null)));
    },
    work: async (onJob) => {
      heard = onJob;
      const worker = await connect({ url, agents: [job], worker: { slots } });
      here = worker;
      return () => {
        here = client;
        return worker.close();
      };
    },
    hasWork: () => hasWork(store),
    close: async () => {
      await client.close();
      await store.end();
    },
  };
};
