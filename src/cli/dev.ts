// The command for writing agents: everything `start` runs, and what changed in the files runs at once.
import type { Context } from "./context.ts";
import { feedOf } from "./feed.ts";
import { errorReport } from "./report-error.ts";
import { type Running, runInstallation, type StartInput, type StartNews } from "./start.ts";
import { watchFiles } from "./watch-files.ts";

/**
 * Like `start`, and the workers are replaced when a file of the project changes: they drain, and their runs go on with
 * the new code. Code that cannot be loaded is reported, and the old goes on.
 *
 * @throws CONFIG_NOT_FOUND, CONFIG_INVALID, DATABASE_UNAVAILABLE, PORT_IN_USE
 */
export function dev(input: StartInput, context: Context): AsyncIterable<StartNews> {
  return feedOf(async (feed) => {
    const { root, settings } = await context.project();
    // Before the agents are loaded, so that no change is missed.
    const changes = await watchFiles(root, settings.dataDir);
    try {
      const live = async (running: Running): Promise<void> => {
        for await (const files of changes.until(context.stop.signal)) await reload(input, running, files);
      };
      await runInstallation(input, context, feed, { waitForChange: true, live });
    } finally {
      await changes.close();
    }
  });
}

/** Loads the project anew; only when that worked the server and the workers get it. */
async function reload(input: StartInput, running: Running, files: readonly string[]): Promise<void> {
  const { context, feed, connection, pool } = running;
  try {
    const project = await context.project({ agents: input.agents, fresh: true });
    const next = await running.connect(project);
    const before = connection.exchange(next);
    running.use(project);
    for (const worker of pool.workers) worker.replace();
    feed.push({ event: "reloaded", files, agents: next.agents.map(({ name }) => name) });
    await before.close();
  } catch (error) {
    const { code, message, hint } = errorReport(error);
    feed.push({ event: "reload_failed", code, message, hint });
  }
}
