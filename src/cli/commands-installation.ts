// The commands about the installation itself: its line, its workers, its schema, its health.
import { command } from "./command.ts";
import { clientSettings, databaseSettings } from "./commands-shared.ts";
import type { Examination } from "./doctor.ts";

const group = "Installation";

export const installationCommands = [
  command({
    path: "queues",
    group,
    settings: clientSettings,
    summary: "Show what waits in the queues, and who serves them",
    flags: {
      tenants: { kind: "switch", summary: "Also the tenants with most that waits" },
      watch: { kind: "switch", summary: "Go on showing it, once a second" },
    },
    examples: [
      { says: "Depth, age of the oldest, workers, throughput", line: "longhaul queues" },
      { says: "As it changes", line: "longhaul queues --watch --tenants" },
    ],
    load: async () => (await import("./queue.ts")).showQueues,
    view: async () => (await import("./view-queues.ts")).viewQueues,
    live: true,
  }),
  command({
    path: "workers",
    group,
    settings: clientSettings,
    summary: "Show the workers, and what they carry",
    about: "Those that are at work, drain, or were lost.",
    flags: { all: { kind: "switch", summary: "Also those that have stopped in the last day" } },
    examples: [{ says: "Who works here", line: "longhaul workers" }],
    load: async () => (await import("./queue.ts")).listWorkers,
    view: async () => (await import("./view-installation.ts")).viewWorkers,
  }),
  command({
    path: "migrate",
    group,
    settings: [...databaseSettings, "logLevel"],
    summary: "Bring the schema up to date",
    about:
      "Servers and workers do this by themselves when they start; this command is for those who want it done before, or by hand.",
    flags: {
      sql: { kind: "switch", summary: "Print the SQL for an empty database, and touch none" },
      status: { kind: "switch", summary: "Say what is pending, and change nothing" },
    },
    examples: [
      { says: "Before a deploy", line: "longhaul migrate" },
      { says: "For somebody who runs SQL by hand", line: "longhaul migrate --sql > longhaul.sql" },
    ],
    load: async () => (await import("./migrate.ts")).migrateSchema,
    view: async () => (await import("./view-installation.ts")).viewMigrated,
  }),
  command({
    path: "prune",
    group,
    settings: [...clientSettings, "retention", "retentionFailed", "logLevel"],
    summary: "Drop runs that ended long ago, or everything of a tenant",
    about:
      "Workers do this by themselves, as the setting `retention` says; this command does it now, or with another age. A tree of runs goes as a whole, when all of it ended that long ago. Without --tenant: of all tenants.",
    flags: {
      olderThan: { kind: "text", placeholder: "duration", summary: 'Instead of the settings, such as "30 days"' },
      dryRun: { kind: "switch", summary: "Count, and drop nothing" },
      everything: { kind: "switch", summary: "With --tenant: all that the tenant has, however young" },
      cancel: { kind: "switch", summary: "With --everything: cancel its unfinished runs first" },
      yes: { kind: "switch", summary: "With --everything: it is meant" },
    },
    examples: [
      { says: "What would go?", line: 'longhaul prune --older-than "30 days" --dry-run' },
      { says: "Forget a customer", line: "longhaul prune --tenant acme --everything --yes" },
    ],
    load: async () => (await import("./prune.ts")).prune,
    view: async () => (await import("./view-prune.ts")).viewPruned,
  }),
  command({
    path: "doctor",
    group,
    settings: [
      ...clientSettings,
      "build",
      "port",
      "host",
      "hosts",
      "origins",
      "auth",
      "allowPublic",
      "processes",
      "idleMinutes",
      "slaMs",
      "alertsWebhook",
      "slots",
      "queues",
      "drainMs",
      "leaseMs",
      "unfinishedMax",
      "retention",
      "retentionFailed",
      "retentionThreads",
      "logLevel",
    ],
    summary: "Examine settings, database, schema and invariants",
    about: "Changes nothing and starts nothing. Exit code 1 if something is wrong.",
    examples: [
      { says: "For people", line: "longhaul doctor" },
      { says: "For a monitor", line: "longhaul doctor --json | jq .well" },
    ],
    load: async () => (await import("./doctor.ts")).examine,
    view: async () => (await import("./view-doctor.ts")).viewExamination,
    unwell: ({ well }: Examination) => !well,
  }),
  command({
    path: "version",
    group,
    summary: "Print the versions of Longhaul and Node",
    examples: [{ says: "Only Longhaul's", line: "longhaul --version" }],
    load: async () => (await import("./version.ts")).version,
    view: async () => (await import("./view-installation.ts")).viewVersion,
  }),
];
