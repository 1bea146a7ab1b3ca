// The command that runs everything: database, server in this process, and worker processes that it keeps alive.
import { type ProcessRange, processRange } from "../domain/process-range.ts";
import { SCALE_TARGET_DEFAULT } from "../domain/workers-wanted.ts";
import type { Logger } from "../engine/worker-options.ts";
import type { Longhaul } from "../runtime/api.ts";
import type { Project } from "../runtime/project.ts";
import { servedQueues } from "../runtime/served-queues.ts";
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
import { type ScaleEvent, type Scaling, watchLoad } from "./watch-load.ts";
import type { WorkerPool } from "./worker-pool.ts";
import type { WorkerEvent } from "./worker-process.ts";

export interface StartInput {
  readonly agents?: readonly string[] | undefined;
}

export type StartNews =
  | WorkerEvent
  | ScaleEvent
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
  readonly pool: WorkerPool;
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
  const { drainMs } = project.settings;
  const range = processRange(project.settings.processes) ?? { min: 1, max: 1 };
  const { waitForChange } = manner;
  const spawn = (workerId: string) =>
    spawnWorker({ context, project, databaseUrl: database.url, agents: input.agents, workerId });
  const report = (event: WorkerEvent | ScaleEvent): void => feed.push(event);
  const pool = superviseWorkers(
    { processes: range.min, spawn, longhaul, stop: context.stop, drainMs, waitForChange, report },
    down,
  );
  // Where the files may change, a worker that cannot start is no end: its own error has been shown.
  const all = pool.workers.map(({ ready }) => ready);
  await (waitForChange ? Promise.allSettled(all) : Promise.all(all));
  const agents = longhaul.agents.map(({ name }) => name);
  feed.push({ event: "ready", url: http.url, pid: process.pid, agents, embedded: database.embeddedIn });
  const use = (next: Project): void => {
    project = next;
  };
  const watching = watch({
    context,
    project,
    longhaul,
    log,
    scaling: scalingOf(project, longhaul, range, pool, report),
  });
  down.defer(() => watching);
  await manner.live({ context, feed, connection, pool, project, connect, use });
}

interface Watch {
  readonly context: Context;
  readonly project: Project;
  readonly longhaul: Longhaul;
  readonly log: Logger;
  readonly scaling: Scaling | null;
}

function watch({ context, project, longhaul, log, scaling }: Watch): Promise<void> {
  const { slaMs, alertsWebhook: webhook } = project.settings;
  return watchLoad({ longhaul, stop: context.stop.signal, slaMs, webhook, log, scaling });
}

/** Null where the number of workers is fixed. */
function scalingOf(
  { settings }: Project,
  longhaul: Longhaul,
  range: ProcessRange,
  pool: WorkerPool,
  report: (event: ScaleEvent) => void,
): Scaling | null {
  if (range.min === range.max) return null;
  const { slots, slaMs, build, idleMinutes } = settings;
  const queues = servedQueues(settings.queues ?? ["default", ...longhaul.agents.map(({ queue }) => queue)]);
  const rule = { slots, slaMs, target: SCALE_TARGET_DEFAULT };
  return { pool, queues: [...queues.keys()], build, range, rule, idleMs: idleMinutes * 60_000, report };
}
