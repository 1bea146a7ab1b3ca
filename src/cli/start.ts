// The command that runs everything: database, server in this process, and worker processes that it keeps alive.
import type { Longhaul } from "../runtime/api.ts";
import type { Project } from "../runtime/project.ts";
import type { Context } from "./context.ts";
import { spawnWorker } from "./execute.ts";
import { type Feed, feedOf } from "./feed.ts";
import { ownDatabase } from "./installation.ts";
import { connectServer, listen } from "./serve.ts";
import { aborted } from "./stop.ts";
import { hearStrayErrors } from "./stray-errors.ts";
import { superviseWorkers } from "./supervise.ts";
import { type Switchable, switchable } from "./switchable.ts";
import { Teardown } from "./teardown.ts";
import type { WorkerEvent, WorkerProcess } from "./worker-process.ts";

export interface StartInput {
  readonly agents?: readonly string[] | undefined;
}

export type StartNews =
  | WorkerEvent
  | {
      readonly event: "ready";
      readonly url: string;
      readonly pid: number;
      readonly agents: readonly string[];
      readonly embedded: string | null;
    }
  | { readonly event: "reloaded"; readonly files: readonly string[]; readonly agents: readonly string[] }
  | { readonly event: "reload_failed"; readonly code: string; readonly message: string; readonly hint: string }
  | { readonly event: "draining" }
  | { readonly event: "stopped" };

/** How `start` and `dev` differ. */
export interface Manner {
  /** True: a worker whose code cannot be loaded waits for a change of the files. */
  readonly waitForChange: boolean;
  /** Has the running installation until it returns. */
  readonly live: (running: Running) => Promise<void>;
}

/** A running installation of this process. */
export interface Running {
  readonly context: Context;
  readonly feed: Feed<StartNews>;
  /** What the server talks to. */
  readonly connection: Switchable;
  readonly workers: readonly WorkerProcess[];
  readonly project: Project;
  /** Connects for a server with the agents of a project. */
  connect(project: Project): Promise<Longhaul>;
  /** From now on workers are started for this project. */
  use(project: Project): void;
}

/**
 * Database, server and workers until told to stop. A worker that dies is replaced, and what it held goes on at once.
 *
 * @throws CONFIG_NOT_FOUND, CONFIG_INVALID, DATABASE_UNAVAILABLE, DATA_DIR_IN_USE, PORT_IN_USE, WORKER_NOT_STARTED
 */
export function start(input: StartInput, context: Context): AsyncIterable<StartNews> {
  const live = ({ context: { stop } }: Running): Promise<void> => aborted(stop.signal);
  return feedOf((feed) => runInstallation(input, context, feed, { waitForChange: false, live }));
}

export async function runInstallation(
  input: StartInput,
  context: Context,
  feed: Feed<StartNews>,
  manner: Manner,
): Promise<void> {
  const down = new Teardown();
  const { stop } = context;
  down.defer(() => stop.release());
  try {
    await setUp(input, context, feed, manner, down);
    feed.push({ event: "draining" });
  } finally {
    stop.request();
    await down.run();
  }
  feed.push({ event: "stopped" });
}

async function setUp(
  input: StartInput,
  context: Context,
  feed: Feed<StartNews>,
  manner: Manner,
  down: Teardown,
): Promise<void> {
  let project = await context.project({ agents: input.agents });
  const log = await context.log(project);
  hearStrayErrors(log);
  // Before anything is started: most mistakes are in here.
  await project.agents();
  const database = await ownDatabase(project, log);
  down.defer(() => database.stop());
  const connect = (of: Project): Promise<Longhaul> => connectServer(context, of, database.url);
  const connection = switchable(await connect(project));
  const { longhaul } = connection;
  down.defer(() => longhaul.close());
  const http = await listen(context, project, longhaul);
  down.defer(() => http.close());
  const { processes, drainMs } = project.settings;
  const { waitForChange } = manner;
  const spawn = (workerId: string) =>
    spawnWorker({ context, project, databaseUrl: database.url, agents: input.agents, workerId });
  const report = (event: WorkerEvent): void => feed.push(event);
  const workers = superviseWorkers(
    { processes, spawn, longhaul, stop: context.stop, drainMs, waitForChange, report },
    down,
  );
  // Where the files may change, a worker that cannot start is no end: its own error has been shown.
  const all = workers.map(({ ready }) => ready);
  await (waitForChange ? Promise.allSettled(all) : Promise.all(all));
  const agents = longhaul.agents.map(({ name }) => name);
  feed.push({ event: "ready", url: http.url, pid: process.pid, agents, embedded: database.embeddedIn });
  const use = (next: Project): void => {
    project = next;
  };
  await manner.live({ context, feed, connection, workers, project, connect, use });
}
