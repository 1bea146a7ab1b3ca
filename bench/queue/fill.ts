// Deep queues, filled as fast as submitting goes.
import { spread, together } from "./crowd.ts";
import { type Database, submit } from "./store.ts";

const BATCH = 1_000;
const CLIENTS = 2;

/** Submits `count` runs of these tenants in turns. */
export async function fill(db: Database, count: number, tenants: readonly string[]): Promise<void> {
  let submitted = 0;
  await together(CLIENTS, async () => {
    while (submitted < count) {
      const size = Math.min(BATCH, count - submitted);
      const names = spread(size, tenants, submitted);
      submitted += size;
      await submit(db, names);
    }
  });
}
