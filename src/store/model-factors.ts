// Statements on what has been learned about models: tokens per byte, and how long answers usually are.
import type { Queryable } from "./database.ts";

export interface ModelFactorRow {
  readonly model: string;
  readonly feature: string;
  readonly factor: number;
  readonly weight: number;
  readonly outputs: readonly number[];
}

export function readModelFactors(db: Queryable): Promise<ModelFactorRow[]> {
  return db.query<ModelFactorRow>(
    "select model, feature, factor, weight, outputs from longhaul.model_factors order by updated_at desc limit 5000",
  );
}

/** The last one to write wins: each has read what was there before, and learned more. */
export async function saveModelFactors(db: Queryable, rows: readonly ModelFactorRow[]): Promise<void> {
  const sorted = [...rows].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  await db.query(
    `insert into longhaul.model_factors as m (model, feature, factor, weight, outputs)
     select u.model, u.feature, u.factor, u.weight, u.outputs::float8[]
       from unnest($1::text[], $2::text[], $3::float8[], $4::float8[], $5::text[]) u(model, feature, factor, weight, outputs)
     on conflict (model, feature) do update
        set factor = excluded.factor, weight = excluded.weight, outputs = excluded.outputs, updated_at = clock_timestamp()`,
    [
      sorted.map((row) => row.model),
      sorted.map((row) => row.feature),
      sorted.map((row) => row.factor),
      sorted.map((row) => row.weight),
      sorted.map((row) => `{${row.outputs.join(",")}}`),
    ],
  );
}

function keyOf({ model, feature }: ModelFactorRow): string {
  return JSON.stringify([model, feature]);
}
