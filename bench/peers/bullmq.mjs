// BullMQ on Redis, which keeps everything in memory and its log on the disk.
import { readFileSync } from "node:fs";
import { Queue, Worker } from "bullmq";
import Redis from "ioredis";

const QUEUE = "jobs";

export async function open(url, slots) {
  const connect = () => new Redis(url, { maxRetriesPerRequest: null });
  const connection = connect();
  const queue = new Queue(QUEUE, { connection, defaultJobOptions: { removeOnComplete: true } });
  const [, fsync] = await connection.config("GET", "appendfsync");
  return {
    version: JSON.parse(readFileSync(new URL("node_modules/bullmq/package.json", import.meta.url), "utf8")).version,
    settings: `appendonly, appendfsync ${fsync}; concurrency = slots, removeOnComplete`,
    submit: (count) =>
      count === 1
        ? queue.add("job", {})
        : queue.addBulk(Array.from({ length: count }, () => ({ name: "job", data: {} }))),
    work: async (onJob) => {
      const own = connect();
      const worker = new Worker(QUEUE, async () => onJob(), { connection: own, concurrency: slots });
      worker.on("error", (error) => console.error(error));
      await worker.waitUntilReady();
      return async () => {
        await worker.close();
        own.disconnect();
      };
    },
    hasWork: async () => {
      const { waiting, active, prioritized } = await queue.getJobCounts("waiting", "active", "prioritized");
      return waiting + active + prioritized > 0;
    },
    close: async () => {
      await queue.close();
      connection.disconnect();
    },
  };
}
