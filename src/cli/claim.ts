// The command that takes runs and executes them: a worker process, alone or under a supervisor.
import { url as debuggerUrl } from "node:inspector";
import type { LonghaulProcess } from "../runtime/connect.ts";
import type { Project } from "../runtime/project.ts";
import { retentionOf } from "../runtime/settings.ts";
import type { Context } from "./context.ts";
import { spawnWorker } from "./execute.ts";
import { feedOf } from "./feed.ts";
import { sharedDatabase } from "./installation.ts";
import { aborted } from "./stop.ts";
import { hearStrayErrors } from "./stray-errors.ts";
import { WORKER_ID, type WorkerReady } from "./supervision.ts";
import { Teardown } from "./teardown.ts";

export interface WorkerInput {
  readonly agents?: readonly string[] | undefined;
  readonly onlyRun?: string | undefined;
}

export type WorkerNews =
  | { readonly event: "ready"; readonly pid: number; readonly workerId: string; readonly agents: readonly string[] }
  | { readonly event: "draining" }
  | { readonly event: "stopped" };

/**
 * Works until it is told to stop, then drains: runs go on to their next step boundary and back into the line. With
 * `onlyRun` it ends by itself when that run has ended or waits.
 *
 * @throws CONFIG_NOT_FOUND, CONFIG_INVALID, DATABASE_UNAVAILABLE
 */
export function work(input: WorkerInput, context: Context): AsyncIterable<WorkerNews> {
  return feedOf(async (feed) => {
    const down = new Teardown();
    const { stop } = context;
    down.defer(() => stop.release());
    // A supervisor tells its own story, and hears this one over the channel.
    const say = (news: WorkerNews): void => {
      if (!stop.isSupervised) feed.push(news);
    };
    try {
      const project = await context.project({ agents: input.agents });
      const longhaul = await connectWorker(input, context, project, down);
      const agents = longhaul.agents.map(({ name }) => name);
      const workerId = longhaul.workerId ?? "";
      if (process.connected) process.send?.({ type: "ready", workerId, agents } satisfies WorkerReady);
      say({ event: "ready", pid: process.pid, workerId, agents });
      const ends = input.onlyRun === undefined ? [] : [longhaul.untilIdle()];
      await Promise.race([aborted(stop.signal), ...ends]);
      say({ event: "draining" });
    } finally {
      await down.run();
    }
    say({ event: "stopped" });
  });
}

async function connectWorker(
  { agents: patterns, onlyRun }: WorkerInput,
  context: Context,
  project: Project,
  down: Teardown,
): Promise<LonghaulProcess> {
  const log = await context.log(project);
  hearStrayErrors(log);
  const agents = (await project.agents()).map(({ agent }) => agent);
  const database = await sharedDatabase(project, log);
  down.defer(() => database.stop());
  const { schema, build, slots, queues, drainMs, leaseMs, stallMs } = project.settings;
  const retention = retentionOf(project.settings);
  const { connect } = await import("../runtime/connect.ts");
  const isolate = (runId: string, workerId: string) =>
    spawnWorker({ context, project, databaseUrl: database.url, agents: patterns, onlyRun: runId, workerId });
  const workerId = context.stop.isSupervised && context.options.env[WORKER_ID];
  // Somebody who looks at a breakpoint blocks the event loop for as long as he likes.
  const endWhenStalled = debuggerUrl() === undefined;
  const worker = {
    slots,
    drainMs,
    leaseMs,
    stallMs,
    endWhenStalled,
    isolate,
    ...(queues && { queues }),
    ...(onlyRun && { onlyRun }),
    ...(workerId && { workerId }),
  };
  const { plans, gateway } = project;
  const longhaul = await connect({ url: database.url, schema, build, agents, plans, gateway, worker, retention, log });
  down.defer(() => longhaul.close());
  return longhaul;
}
