// Statements for circuit breakers. How calls end is counted by settleQuotas, together with what they used.
import type { Queryable } from "./database.ts";
import type { SickTarget } from "./quotas.ts";

export interface ProbeAnswer {
  readonly verdict: "closed" | "probe" | "open";
  /** On the database's clock, of `open`. */
  readonly until_ms: number | null;
}

/** Of all who ask for a target whose time is over, one may try it: until its outcome is known, or for so long. */
export async function askProbe(db: Queryable, target: string, by: string, probeMs: number): Promise<ProbeAnswer> {
  const text = "select * from longhaul.ask_probe($1, $2::uuid, $3::float8)";
  const [row] = await db.query<ProbeAnswer>(text, [target, by, probeMs], "lh_ask_probe");
  if (row === undefined) throw new Error("ask_probe gave no row");
  return row;
}

/** How a probe ended. */
export async function endProbe(
  db: Queryable,
  target: string,
  by: string,
  outcome: "success" | "failure" | "neutral",
  openMsMax: number,
): Promise<void> {
  const text = "select longhaul.end_probe($1, $2::uuid, $3, $4::float8)";
  await db.query(text, [target, by, outcome, openMsMax], "lh_end_probe");
}

/** Targets whose circuits are open. */
export async function sickTargets(db: Queryable): Promise<readonly SickTarget[]> {
  const [row] = await db.query<{ sick: SickTarget[] | null }>(
    "select longhaul.sick_targets() as sick",
    [],
    "lh_sick_targets",
  );
  return row?.sick ?? [];
}
