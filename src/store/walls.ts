// Which budgets above a run limit its time.
import type { Queryable } from "./database.ts";

export interface Wall {
  readonly budgetId: string;
  readonly endsAtMs: number;
  readonly wallMs: number;
  readonly onExceeded: "fail" | "ask";
}

interface WallRow {
  readonly budget_id: string;
  readonly ends_at: Date;
  readonly wall_ms: number;
  readonly on_exceeded: Wall["onExceeded"];
}

/** As they are now, the earliest end first. */
export async function readWalls(db: Queryable, budgetId: string): Promise<Wall[]> {
  const rows = await db.query<WallRow>(
    `select b.budget_id, b.ends_at, b.wall_ms, b.on_exceeded from longhaul.budgets b
      where b.budget_id = any(longhaul.budgets_above($1)) and b.ends_at is not null order by b.ends_at`,
    [budgetId],
    "lh_read_walls",
  );
  return rows.map((row) => ({
    budgetId: row.budget_id,
    endsAtMs: row.ends_at.getTime(),
    wallMs: row.wall_ms,
    onExceeded: row.on_exceeded,
  }));
}
