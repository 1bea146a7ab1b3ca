// The command that serves HTTP and executes nothing: any number of them stand before one database.
import type { Longhaul } from "../runtime/api.ts";
import type { Project } from "../runtime/project.ts";
import type { RunningServer } from "../server/index.ts";
import type { Context } from "./context.ts";
import { feedOf } from "./feed.ts";
import { sharedDatabase } from "./installation.ts";
import { aborted } from "./stop.ts";
import { hearStrayErrors } from "./stray-errors.ts";
import { Teardown } from "./teardown.ts";
import { programVersion } from "./version.ts";
import { watchLoad } from "./watch-load.ts";

export interface ServerInput {
  readonly agents?: readonly string[] | undefined;
}

export type ServerNews =
  | { readonly event: "ready"; readonly pid: number; readonly url: string; readonly agents: readonly string[] }
  | { readonly event: "stopped" };

/**
 * Serves until it is told to stop. It can do without agents; with them it checks inputs before they are stored.
 *
 * @throws CONFIG_INVALID, DATABASE_UNAVAILABLE, PORT_IN_USE, PUBLIC_WITHOUT_AUTH
 */
export function server(input: ServerInput, context: Context): AsyncIterable<ServerNews> {
  return feedOf(async (feed) => {
    const down = new Teardown();
    const { stop } = context;
    down.defer(() => stop.release());
    try {
      const project = await context.project({ agents: input.agents });
      const log = await context.log(project);
      hearStrayErrors(log);
      const database = await sharedDatabase(project, log);
      down.defer(() => database.stop());
      const longhaul = await connectServer(context, project, database.url);
      down.defer(() => longhaul.close());
      const http = await listen(context, project, longhaul);
      down.defer(() => http.close());
      feed.push({ event: "ready", pid: process.pid, url: http.url, agents: longhaul.agents.map(({ name }) => name) });
      const { slaMs, alertsWebhook: webhook } = project.settings;
      const watching = watchLoad({ longhaul, stop: stop.signal, slaMs, webhook, log, scaling: null });
      down.defer(() => watching);
      await aborted(stop.signal);
    } finally {
      await down.run();
    }
    feed.push({ event: "stopped" });
  });
}

/** A connection without a worker, with the agents of the project if it names any. */
export async function connectServer(context: Context, project: Project, url: string): Promise<Longhaul> {
  const { connect } = await import("../runtime/connect.ts");
  const { schema, build, unfinishedMax } = project.settings;
  const agents = project.namesAgents ? (await project.agents()).map(({ agent }) => agent) : [];
  const { plans, gateway } = project;
  const log = await context.log(project);
  return await connect({ url, schema, build, agents, plans, gateway, limits: { unfinishedMax }, worker: false, log });
}

export async function listen(context: Context, project: Project, longhaul: Longhaul): Promise<RunningServer> {
  const [{ serve }, { serverLog }] = await Promise.all([import("../server/index.ts"), import("./log.ts")]);
  const { host, port, hosts, origins, allowPublic } = project.settings;
  const auth = project.settings.auth === "keys" ? "keys" : undefined;
  const log = serverLog(await context.log(project));
  return await serve({ longhaul, host, port, hosts, origins, auth, allowPublic, log, version: programVersion() });
}
