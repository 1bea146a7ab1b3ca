// Two days of runs that never ran: rows as they are left behind, for those who read figures off them.
import type { Database } from "../../src/store/database.ts";

export const HISTORY_RUNS = 480;

/** A run every six minutes: every second one has ended, with six steps in about a minute; a quarter of those waited two hours. */
export async function recordHistory(db: Database): Promise<void> {
  await db.transaction(async (tx) => {
    for (const statement of STATEMENTS) await tx.query(statement);
  });
}

const STATEMENTS = [
  `create temporary table history on commit drop as
    select n, at, (substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || '-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid as run_id
      from (select n, at, lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') as hex
              from (select n, clock_timestamp() - n * interval '6 minutes' as at from generate_series(1, ${HISTORY_RUNS}) n) t) h`,
  `insert into longhaul.runs (run_id, root_id, created_at, lane_id, tenant_id, agent, build, queue)
    select run_id, run_id, at, 1, 'tenant-' || n % 4, 'a', 'default', 'default' from history`,
  `insert into longhaul.outcomes (run_id, finished_at, active_ms, epoch, entries, tenant_id, status)
    select run_id, least(at + interval '3 hours', clock_timestamp()), 30000 + (n * 7919) % 60000, 1, 9, 'tenant-' || n % 4, 'succeeded'
      from history where n % 2 = 0`,
  `insert into longhaul.journal (run_id, seq, at, epoch, kind)
    select run_id, seq, at + case when seq > 4 then interval '2 hours' else interval '0' end, 1, kind from history
     cross join (values (1, 1), (2, 10), (3, 10), (4, 2), (5, 1), (6, 10), (7, 10), (8, 10), (9, 10), (10, 3)) e(seq, kind)
     where n % 2 = 0 and (kind <> 2 or n % 8 = 0)`,
];
