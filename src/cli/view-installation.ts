// The installation as people see it: queues, workers, migrations, versions.
import type { QueueView, WorkerView } from "../runtime/api.ts";
import { type Block, fields, line, table, toned } from "./blocks.ts";
import type { Migrated } from "./migrate.ts";
import { ago, count, duration, status } from "./show.ts";
import type { Version } from "./version.ts";

export function viewQueues(queues: readonly QueueView[]): Block[] {
  return [
    table(
      queues,
      [
        { title: "queue", flexible: true, cell: (one) => one.queue },
        { title: "tenant", flexible: true, cell: (one) => one.tenant },
        { title: "build", cell: (one) => one.build },
        { title: "waiting", align: "right", cell: (one) => count(one.depth) },
        {
          title: "oldest",
          align: "right",
          cell: (one) => (one.oldestMs === null ? toned("dim", "-") : duration(one.oldestMs)),
        },
        { title: "running", align: "right", cell: (one) => count(one.inFlight) },
        { title: "cap", align: "right", cell: (one) => count(one.cap) },
        {
          title: "workers",
          align: "right",
          cell: (one) => (one.workers === 0 && one.depth > 0 ? toned("bad", "0") : String(one.workers)),
        },
        { title: "", cell: (one) => (one.paused ? toned("warn", "paused") : "") },
      ],
      "Nothing was ever queued here. Submit a run: longhaul runs submit <agent> --input '{}'",
    ),
  ];
}

export function viewWorkers(workers: readonly WorkerView[]): Block[] {
  return [
    table(
      workers,
      [
        { title: "worker", cell: (one) => one.workerId },
        { title: "state", cell: (one) => status(one.state) },
        { title: "host", flexible: true, cell: (one) => `${one.host}:${one.pid}` },
        { title: "build", cell: (one) => one.build },
        { title: "running", align: "right", cell: (one) => `${one.running}/${one.slots}` },
        { title: "seen", cell: (one) => ago(one.seenAt) },
        {
          title: "queues",
          flexible: true,
          cell: (one) => (one.queues.length === 0 ? toned("dim", "all") : one.queues.join(", ")),
        },
        { title: "agents", flexible: true, cell: (one) => one.agents.join(", ") },
      ],
      "No workers are at work. Start one: longhaul worker",
    ),
  ];
}

export function viewMigrated(migrated: Migrated | string): Block[] {
  if (typeof migrated === "string") return [line(migrated)];
  const { schema, applied, pending } = migrated;
  const names = (list: Migrated["applied"]): Block[] => list.map(({ version, name }) => line(`  ${version} ${name}`));
  if (applied.length > 0) return [line(toned("good", `Applied to schema ${schema}:`)), ...names(applied)];
  if (pending.length > 0) return [line(toned("warn", `Pending in schema ${schema}:`)), ...names(pending)];
  return [line(toned("good", `Schema ${schema} is up to date.`))];
}

export function viewVersion({ longhaul, node, platform }: Version): Block[] {
  return [fields({ longhaul, node, platform })];
}
