// The load as people see it: queues, what is wrong with them, the tenants and limits behind it.
import type { GateLoad, QueueLoad, TenantLoad } from "../runtime/load-views.ts";
import { type Block, type Cell, heading, line, table, toned } from "./blocks.ts";
import type { ShownLoad } from "./queue.ts";
import { count, duration } from "./show.ts";

export function viewQueues({ queues, tenants, gates, deadLetters }: ShownLoad): Block[] {
  const blocks = [viewLoads(queues), ...queues.flatMap(viewAlerts)];
  if (tenants !== undefined) blocks.push(heading("Tenants"), viewTenants(tenants));
  if (gates.length > 0) blocks.push(heading("Limits that are reached"), viewGates(gates));
  if (deadLetters > 0) blocks.push(line(toned("warn", `${deadLetters} runs failed for good`)));
  return blocks;
}

function viewLoads(queues: readonly QueueLoad[]): Block {
  return table(
    queues,
    [
      { title: "queue", flexible: true, cell: (one) => one.queue },
      { title: "build", flexible: true, cell: (one) => one.build },
      { title: "waiting", align: "right", cell: (one) => count(one.depth) },
      { title: "held", align: "right", cell: (one) => zeroAsDash(one.held) },
      { title: "oldest", align: "right", cell: (one) => age(one.oldestMs) },
      { title: "running", align: "right", cell: (one) => `${one.inFlight}/${one.slots}` },
      { title: "workers", align: "right", cell: workers },
      { title: "started/min", align: "right", cell: (one) => rate(one.startedPerMinute) },
      { title: "ended/min", align: "right", cell: (one) => rate(one.finishedPerMinute) },
      { title: "wait p50", align: "right", cell: (one) => age(one.waitMs?.p50 ?? null) },
      { title: "p99", align: "right", cell: (one) => age(one.waitMs?.p99 ?? null) },
      { title: "parked", align: "right", cell: (one) => zeroAsDash(one.parkedTenants) },
    ],
    "Nothing waits, and nobody works. Submit a run: longhaul runs submit <agent> --input '{}'",
  );
}

function viewAlerts({ queue, build, alerts }: QueueLoad): Block[] {
  return alerts.map(({ kind, slaMs }) =>
    line(
      toned("bad", kind),
      kind === "late"
        ? `${queue} of build ${build}: runs wait longer than ${duration(slaMs)}`
        : `${queue} of build ${build}: runs wait, and no worker serves it`,
    ),
  );
}

function viewTenants(tenants: readonly TenantLoad[]): Block {
  return table(
    tenants,
    [
      { title: "tenant", flexible: true, cell: (one) => one.tenant },
      { title: "queue", flexible: true, cell: (one) => one.queue },
      { title: "build", flexible: true, cell: (one) => one.build },
      { title: "waiting", align: "right", cell: (one) => count(one.depth) },
      { title: "oldest", align: "right", cell: (one) => age(one.oldestMs) },
      { title: "running", align: "right", cell: (one) => count(one.inFlight) },
      { title: "cap", align: "right", cell: (one) => count(one.cap) },
      { title: "", cell: standing },
    ],
    "Nothing waits.",
  );
}

function viewGates(gates: readonly GateLoad[]): Block {
  return table(
    gates,
    [
      { title: "agent", flexible: true, cell: (one) => one.agent },
      { title: "tenant", flexible: true, cell: (one) => one.tenant ?? toned("dim", "all") },
      { title: "key", flexible: true, cell: (one) => one.key ?? "" },
      { title: "running", align: "right", cell: (one) => `${one.inFlight}/${one.cap}` },
      { title: "waiting", align: "right", cell: (one) => count(one.waiting) },
    ],
    "",
  );
}

const age = (ms: number | null): Cell => (ms === null ? toned("dim", "-") : duration(ms));
const zeroAsDash = (value: number): Cell => (value === 0 ? toned("dim", "-") : String(value));
const rate = (perMinute: number): Cell => zeroAsDash(Math.round(perMinute * 10) / 10);
const workers = (one: QueueLoad): Cell =>
  one.workers === 0 && one.depth > 0 ? toned("bad", "0") : String(one.workers);

function standing({ paused, parked }: TenantLoad): Cell {
  if (paused) return toned("warn", "paused");
  return parked ? toned("warn", "at its limit") : "";
}
