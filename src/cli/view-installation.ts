// The installation as people see it: workers, migrations, versions.
import type { WorkerView } from "../runtime/api.ts";
import { type Block, fields, line, table, toned } from "./blocks.ts";
import type { Migrated } from "./migrate.ts";
import { ago, status } from "./show.ts";
import type { Version } from "./version.ts";

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
