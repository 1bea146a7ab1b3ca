// Chores of the whole installation: whoever asks first when one is due takes it on, and nobody else does until it is due again.
import type { Queryable } from "./database.ts";

/** As the migrations name them. */
export type ChoreName = "answers" | "batches" | "calls" | "quotas";

/** Takes on those that are due. Waits for nobody; one whose taker dies is due again after its time. */
export async function takeChores(
  db: Queryable,
  chores: readonly { readonly name: ChoreName; readonly everyMs: number }[],
): Promise<ChoreName[]> {
  const rows = await db.query<{ chore: ChoreName }>(
    `update longhaul.chores c set taken_at = clock_timestamp()
      where c.chore = any(array(
        select x.chore from longhaul.chores x join unnest($1::text[], $2::float8[]) d(chore, every_ms) on d.chore = x.chore
         where x.taken_at <= clock_timestamp() - d.every_ms * interval '1 millisecond' order by x.chore for update of x skip locked))
      returning c.chore`,
    [chores.map(({ name }) => name), chores.map(({ everyMs }) => everyMs)],
    "lh_take_chores",
  );
  return rows.map(({ chore }) => chore);
}
