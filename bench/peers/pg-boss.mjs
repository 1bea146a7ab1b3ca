// pg-boss on PostgreSQL: one worker that fetches as many jobs as there are slots, and at once again when it got that many.
import { readFileSync } from "node:fs";
import PgBoss from "pg-boss";

const QUEUE = "jobs";

export async function open(url, slots) {
  const boss = new PgBoss(url);
  boss.on("error", (error) => console.error(error));
  await boss.start();
  await boss.createQueue(QUEUE);
  return {
    version: JSON.parse(readFileSync(new URL("node_modules/pg-boss/package.json", import.meta.url), "utf8")).version,
    settings:
      "each job is on the disk when accepted and when ended (fsync); batchSize = slots, pollingIntervalSeconds 0.5 (the least), notifyWorker() after a full batch",
    submit: (count) =>
      count === 1
        ? boss.send(QUEUE, {})
        : boss.insert(Array.from({ length: count }, () => ({ name: QUEUE, data: {} }))),
    work: async (onJob) => {
      let worker = "";
      worker = await boss.work(QUEUE, { batchSize: slots, pollingIntervalSeconds: 0.5 }, async (jobs) => {
        for (const _ of jobs) onJob();
        if (jobs.length === slots) boss.notifyWorker(worker);
      });
      return () => boss.offWork(QUEUE);
    },
    hasWork: async () => {
      const { rows } = await boss
        .getDb()
        .executeSql("select exists (select from pgboss.job where name = $1 and state < 'completed') as some", [QUEUE]);
      return rows[0].some;
    },
    close: () => boss.stop({ graceful: true, timeout: 5_000 }),
  };
}
