// The command for writing agents: everything `start` runs, and what changed in the files runs at once.
import { relative, sep } from "node:path";
import type { Project } from "../runtime/project.ts";
import type { Context } from "./context.ts";
import { feedOf } from "./feed.ts";
import { errorReport } from "./report-error.ts";
import { type Running, runInstallation, type StartInput, type StartNews } from "./start.ts";
import { aborted } from "./stop.ts";

/** Editors write a file in several steps: changes this near to each other are one. */
const SETTLE_MS = 120;
const CODE = /\.(ts|mts|cts|tsx|js|mjs|cjs|jsx)$/;
const NOT_WATCHED = new Set(["node_modules", "dist", ".git"]);

/**
 * Like `start`, with one worker, which is replaced when a file of the project changes: it drains, and its runs go on
 * with the new code. Code that cannot be loaded is reported, and the old goes on.
 *
 * @throws CONFIG_NOT_FOUND, CONFIG_INVALID, DATABASE_UNAVAILABLE, PORT_IN_USE
 */
export function dev(input: StartInput, context: Context): AsyncIterable<StartNews> {
  const live = (running: Running): Promise<void> => watchProject(input, running);
  return feedOf((feed) => runInstallation(input, context, feed, { waitForChange: true, live }));
}

async function watchProject(input: StartInput, running: Running): Promise<void> {
  const { context, project } = running;
  const { watch } = await import("chokidar");
  const watcher = watch(project.root, { ignoreInitial: true, ignored: (path) => isIgnored(path, project) });
  const changed = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let reloading = Promise.resolve();
  watcher.on("all", (_, path) => {
    if (!CODE.test(path)) return;
    changed.add(relative(project.root, path));
    clearTimeout(timer);
    timer = setTimeout(() => {
      const files = [...changed].sort();
      changed.clear();
      reloading = reloading.then(() => reload(input, running, files));
    }, SETTLE_MS);
  });
  try {
    await aborted(context.stop.signal);
  } finally {
    clearTimeout(timer);
    await watcher.close();
    await reloading;
  }
}

/** Loads the project anew; only when that worked the server and the workers get it. */
async function reload(input: StartInput, running: Running, files: readonly string[]): Promise<void> {
  const { context, feed, connection, workers } = running;
  if (context.stop.signal.aborted) return;
  try {
    const project = await context.project({ agents: input.agents, fresh: true });
    const next = await running.connect(project);
    const before = connection.exchange(next);
    running.use(project);
    for (const worker of workers) worker.replace();
    feed.push({ event: "reloaded", files, agents: next.agents.map(({ name }) => name) });
    await before.close();
  } catch (error) {
    const { code, message, hint } = errorReport(error);
    feed.push({ event: "reload_failed", code, message, hint });
  }
}

function isIgnored(path: string, { root, settings }: Project): boolean {
  if (path === settings.dataDir || path.startsWith(settings.dataDir + sep)) return true;
  return relative(root, path)
    .split(sep)
    .some((part) => NOT_WATCHED.has(part));
}
