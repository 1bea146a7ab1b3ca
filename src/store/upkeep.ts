// What slows a queue down in the long run: dead rows that are not cleaned up, and whoever keeps the server from doing it.
import { formatDuration } from "../domain/duration.ts";
import type { Database } from "./database.ts";
import type { PreflightCheck } from "./preflight.ts";

/** Tables whose rows come and go with every run: small, unless the dead pile up. */
const HOT = ["live", "ready", "later", "tenants", "lanes", "turns", "gates", "inbox", "waits", "thread_queue"];
/** Below this no share of dead rows is worth a word. */
const DEAD_ROWS_MIN = 50_000;
/** Dead rows per row that is alive: a hot table may be emptied in a moment; of a large one autovacuum leaves up to a fifth. */
const DEAD_PER_ROW_HOT = 2;
const DEAD_PER_ROW = 0.4;
/** A transaction of ours takes at most seconds. Of slots and standbys nobody knows since when they hold: these count what began since. */
const HOLDER_SECONDS = 60;
const HOLDER_TRANSACTIONS = 100_000;
/** How many of them are named. */
const SHOWN = 3;

/** Longest pause of the cleaner that is no trouble yet at hundreds of runs per second. */
const NAPTIME_SECONDS = 60;

interface CleanerRow {
  readonly enabled: boolean;
  readonly naptime: number;
}

const CLEANER = `
select current_setting('autovacuum')::boolean as enabled,
       extract(epoch from current_setting('autovacuum_naptime')::interval)::float8 as naptime`;

interface TableRow {
  readonly name: string;
  readonly alive: number;
  readonly dead: number;
  readonly bytes: number;
}

const TABLES = `
select c.relname::text as name, s.n_live_tup as alive, s.n_dead_tup as dead, pg_total_relation_size(c.oid) as bytes
  from pg_class c join pg_stat_user_tables s on s.relid = c.oid
 where c.relnamespace = (select r.relnamespace from pg_class r where r.oid = 'longhaul.runs'::regclass)
 order by s.n_dead_tup desc`;

interface HolderRow {
  readonly what: "session" | "prepared" | "slot" | "standby";
  readonly name: string;
  readonly pid: number | null;
  /** Transactions that began since. */
  readonly behind: number;
  readonly seconds: number | null;
}

/** Everything that holds the oldest snapshot of this database back. Of other users only what the server tells this role. */
const HOLDERS = `
select 'session' as what, coalesce(nullif(a.application_name, ''), 'a session without a name') || ' (' || coalesce(a.state, 'unknown') || ')' as name, a.pid,
       greatest(age(a.backend_xmin), age(a.backend_xid))::bigint as behind, extract(epoch from clock_timestamp() - a.xact_start)::float8 as seconds
  from pg_stat_activity a
 where a.datid = (select d.oid from pg_database d where d.datname = current_database()) and a.backend_type = 'client backend'
   and a.pid <> pg_backend_pid() and coalesce(a.backend_xmin, a.backend_xid) is not null
union all
select 'prepared', p.gid, null, age(p.transaction)::bigint, extract(epoch from clock_timestamp() - p.prepared)::float8
  from pg_prepared_xacts p where p.database = current_database()
union all
select 'slot', s.slot_name::text, s.active_pid, age(s.xmin)::bigint, null from pg_replication_slots s where s.xmin is not null
union all
select 'standby', coalesce(nullif(r.application_name, ''), 'a standby'), r.pid, age(r.backend_xmin)::bigint, null
  from pg_stat_replication r where r.backend_xmin is not null
order by 4 desc`;

/** Only warnings: everything still works, ever slower. `holderSeconds`: from when on a held snapshot is one. */
export async function upkeep(db: Database, holderSeconds = HOLDER_SECONDS): Promise<PreflightCheck[]> {
  const tables = await db.query<TableRow>(TABLES);
  const holders = await db.query<HolderRow>(HOLDERS);
  const [cleaner] = await db.query<CleanerRow>(CLEANER);
  return [autovacuum(cleaner), deadRows(tables, db.schema), snapshots(holders, holderSeconds)];
}

function autovacuum({ enabled, naptime }: CleanerRow = { enabled: true, naptime: 0 }): PreflightCheck {
  const ok = enabled && naptime <= NAPTIME_SECONDS;
  return {
    check: "autovacuum",
    ok,
    level: "warning",
    value: enabled ? `every ${naptime} s` : "off",
    hint: ok
      ? ""
      : "Set autovacuum = on and autovacuum_naptime = 10s: a queue makes dead rows by the second, and what is left makes claims slow.",
  };
}

function deadRows(tables: readonly TableRow[], schema: string): PreflightCheck {
  const bad = tables.filter(({ name, alive, dead }) => {
    return dead >= DEAD_ROWS_MIN && dead >= alive * (HOT.includes(name) ? DEAD_PER_ROW_HOT : DEAD_PER_ROW);
  });
  const shown = bad.length > 0 ? bad : tables.slice(0, 1);
  const ok = bad.length === 0;
  const vacuum = bad.map(({ name }) => `vacuum ${schema}.${name}`).join("; ");
  return {
    check: "dead rows",
    ok,
    level: "warning",
    value: shown
      .map(({ name, alive, dead, bytes }) => `${name}: ${dead}, ${alive} alive, ${megabytes(bytes)}`)
      .join("; "),
    hint: ok ? "" : `Autovacuum does not keep up. See that nobody holds it back (oldest snapshot), then: ${vacuum}.`,
  };
}

function snapshots(holders: readonly HolderRow[], holderSeconds: number): PreflightCheck {
  const bad = holders.filter(({ seconds, behind }) =>
    seconds === null ? behind >= HOLDER_TRANSACTIONS : seconds >= holderSeconds,
  );
  const ok = bad.length === 0;
  const shown = ok ? holders.slice(0, 1) : bad.slice(0, SHOWN);
  return {
    check: "oldest snapshot",
    ok,
    level: "warning",
    value: shown.length === 0 ? "nobody holds one" : shown.map(describe).join("; "),
    hint: ok
      ? ""
      : `While one is held no dead row can be removed, and everything becomes slower. ${shown.map(remedy).join(" ")}`,
  };
}

function describe({ what, name, pid, behind, seconds }: HolderRow): string {
  const since = seconds === null ? "" : `, since ${formatDuration(seconds * 1_000)}`;
  return `${NAMES[what]} ${name}${pid === null ? "" : `, pid ${pid}`}${since}, ${behind} transactions behind`;
}

const NAMES = {
  session: "session",
  prepared: "prepared transaction",
  slot: "replication slot",
  standby: "standby",
} as const;

/** What ends it. */
function remedy({ what, name, pid }: HolderRow): string {
  switch (what) {
    case "session":
      return `End it: select pg_terminate_backend(${pid}); and set idle_in_transaction_session_timeout for its role.`;
    case "prepared":
      return `Decide it: rollback prepared '${name.replaceAll("'", "''")}'; or commit prepared.`;
    case "slot":
      return `If nobody needs it: select pg_drop_replication_slot('${name.replaceAll("'", "''")}').`;
    case "standby":
      return `Turn hot_standby_feedback off on ${name}, or end the long query there.`;
  }
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MB`;
}
