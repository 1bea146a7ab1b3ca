// Processor time of a database's connections: the figure that stays the same when other programs keep the machine busy.
import { readFileSync } from "node:fs";
import type { Queryable } from "../../src/store/database.ts";

/** Linux counts in hundredths of a second, whatever its own clock is. */
const TICK_MS = 10;
/** Of /proc/<pid>/stat, behind the program's name: time in the program and in the kernel for it. */
const USER = 11;
const SYSTEM = 12;

/** Milliseconds spent until now by all connections to this database; NaN where the system does not tell. */
export async function databaseCpuMs(db: Queryable): Promise<number> {
  const rows = await db.query<{ pid: number }>("select pid from pg_stat_activity where datname = current_database()");
  return rows.reduce((sum, { pid }) => sum + cpuMs(pid), 0);
}

function cpuMs(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[USER]) + Number(fields[SYSTEM])) * TICK_MS;
  } catch {
    return Number.NaN;
  }
}
