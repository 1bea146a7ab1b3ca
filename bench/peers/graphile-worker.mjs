// Graphile Worker on PostgreSQL, set as its page on performance says for many jobs: a local queue, and completions together. As it comes:
// graphile-worker-plain.mjs.
import { readFileSync } from "node:fs";
import { Logger, makeWorkerUtils, run } from "graphile-worker";

const LOCAL_QUEUE = 500;

const TUNED = { localQueue: { size: LOCAL_QUEUE }, completeJobBatchDelay: 0, failJobBatchDelay: 0 };

export const open = (url, slots) =>
  openWith(url, slots, TUNED, `localQueue ${LOCAL_QUEUE}, completeJobBatchDelay 0, concurrentJobs = slots`);

export async function openWith(url, slots, preset, settings) {
  const logger = new Logger(() => (level, message) => level === "error" && console.error(message));
  const utils = await makeWorkerUtils({ connectionString: url, logger });
  await utils.migrate();
  return {
    version: JSON.parse(readFileSync(new URL("node_modules/graphile-worker/package.json", import.meta.url), "utf8"))
      .version,
    settings: `each job is on the disk when accepted and when ended (fsync); ${settings}`,
    submit: (count) =>
      count === 1
        ? utils.addJob("job", {})
        : utils.addJobs(Array.from({ length: count }, () => ({ identifier: "job", payload: {} }))),
    work: async (onJob) => {
      const runner = await run({
        connectionString: url,
        logger,
        noHandleSignals: true,
        taskList: { job: async () => onJob() },
        preset: { worker: { concurrentJobs: slots, ...preset } },
      });
      return () => runner.stop();
    },
    hasWork: () =>
      utils.withPgClient(async (client) => {
        const { rows } = await client.query("select exists (select from graphile_worker._private_jobs) as some");
        return rows[0].some;
      }),
    close: () => utils.release(),
  };
}
