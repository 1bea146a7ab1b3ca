// The changes of a project's code files, gathered until somebody takes them.
import { relative, sep } from "node:path";

/** Editors write a file in several steps: changes this near to each other are one. */
const SETTLE_MS = 120;
const CODE = /\.(ts|mts|cts|tsx|js|mjs|cjs|jsx)$/;
const NOT_WATCHED = new Set(["node_modules", "dist", ".git"]);

export interface FileChanges {
  /** The files changed since the last time, relative to the folder, again and again until the signal aborts. */
  until(stop: AbortSignal): AsyncIterable<readonly string[]>;
  close(): Promise<void>;
}

/** Watches the code in a folder and below, but not packages, builds and the data directory. Resolves when it sees all of it. */
export async function watchFiles(folder: string, dataDir: string): Promise<FileChanges> {
  const { watch } = await import("chokidar");
  const isIgnored = (path: string): boolean => {
    if (path === dataDir || path.startsWith(dataDir + sep)) return true;
    const parts = relative(folder, path).split(sep);
    return parts.some((part) => NOT_WATCHED.has(part));
  };
  const watcher = watch(folder, { ignoreInitial: true, ignored: isIgnored });
  const changed = new Set<string>();
  let events = 0;
  let wake = (): void => undefined;
  watcher.on("all", (_, path) => {
    if (!CODE.test(path)) return;
    changed.add(relative(folder, path));
    events += 1;
    wake();
  });
  await new Promise<void>((resolve) => watcher.once("ready", () => resolve()));
  return { until: (stop) => batches(stop), close: () => watcher.close() };

  async function* batches(stop: AbortSignal): AsyncGenerator<readonly string[], void, undefined> {
    stop.addEventListener("abort", () => wake(), { once: true });
    while (!stop.aborted) {
      const seen = events;
      const hasChanges = changed.size > 0;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (hasChanges) setTimeout(resolve, SETTLE_MS);
      });
      // Something new: the wait for silence begins anew.
      if (stop.aborted || !hasChanges || events !== seen) continue;
      const files = [...changed].sort();
      changed.clear();
      yield files;
    }
  }
}
