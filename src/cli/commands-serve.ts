// The commands that run until they are told to stop: dev, start, server, worker.
import { command, type FlagSpec } from "./command.ts";
import { databaseSettings } from "./commands-shared.ts";

const agents: FlagSpec = {
  kind: "list",
  placeholder: "globs",
  summary: "Files or folders that export agents, instead of those in the config file",
};
const retention = ["retention", "retentionFailed", "retentionThreads"] as const;
const worker = ["build", "slots", "queues", "drainMs", "leaseMs", "stallMs", ...retention, "logLevel"] as const;
const server = ["port", "host", "hosts", "origins", "auth", "allowPublic", "unfinishedMax"] as const;
const alerts = ["slaMs", "alertsWebhook"] as const;
const SIGNALS = "Ctrl-C or SIGTERM drains and ends it; the second one ends it at once.";

export const serveCommands = [
  command({
    path: "dev",
    group: "Run",
    summary: "Run everything, and reload agents when their files change",
    about: `Starts PostgreSQL (unless DATABASE_URL is set), the server, and workers in processes of their own. Code that cannot be loaded is reported, and the old goes on; another port or database counts from the next start. ${SIGNALS}`,
    flags: { agents },
    settings: [...databaseSettings, ...server, ...alerts, ...worker],
    examples: [
      { says: "The project in this folder", line: "longhaul dev" },
      {
        says: "Agents without a config file, on another port",
        line: "longhaul dev --agents './agents/*.ts' --port 3000",
      },
    ],
    load: async () => (await import("./dev.ts")).dev,
    view: async () => (await import("./view-serve.ts")).viewStart,
    serves: true,
  }),
  command({
    path: "start",
    group: "Run",
    summary: "Run everything, for production on one machine",
    about: `Starts PostgreSQL (unless DATABASE_URL is set), the server, and workers in processes of their own. A worker that dies is started again, and what it held goes on at once. ${SIGNALS}`,
    flags: { agents },
    settings: [...databaseSettings, ...server, "processes", "idleMinutes", ...alerts, ...worker],
    examples: [
      { says: "One worker process", line: "longhaul start" },
      { says: "Four of them, on a database of your own", line: "DATABASE_URL=postgres://… longhaul start --workers 4" },
      { says: "As many as the load asks for, from one to eight", line: "longhaul start --workers 1..8" },
    ],
    load: async () => (await import("./start.ts")).start,
    view: async () => (await import("./view-serve.ts")).viewStart,
    serves: true,
  }),
  command({
    path: "server",
    group: "Run",
    summary: "Serve HTTP, and execute nothing",
    about: `Any number of servers may stand before one database. ${SIGNALS}`,
    flags: { agents },
    settings: [...databaseSettings, ...server, ...alerts, "build", "logLevel"],
    examples: [
      { says: "For clients with keys", line: "longhaul server --host 0.0.0.0 --port 8080 --auth keys" },
      { says: "Behind a proxy that knows who asks", line: "longhaul server --host 0.0.0.0 --port 8080 --allow-public" },
    ],
    load: async () => (await import("./serve.ts")).server,
    view: async () => (await import("./view-serve.ts")).viewServer,
    serves: true,
  }),
  command({
    path: "worker",
    group: "Run",
    summary: "Execute runs, and serve nothing",
    about: `Any number of workers may take from one database. ${SIGNALS}`,
    flags: {
      agents,
      onlyRun: { kind: "text", placeholder: "run", summary: "Execute this run and no other, then end" },
    },
    settings: [...databaseSettings, ...worker],
    examples: [
      { says: "All queues", line: "longhaul worker" },
      { says: "Two queues, at most 20 runs at once", line: "longhaul worker --queues fast,default --slots 20" },
    ],
    load: async () => (await import("./claim.ts")).work,
    view: async () => (await import("./view-serve.ts")).viewWorker,
    serves: true,
  }),
];
