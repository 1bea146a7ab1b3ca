// What judges the queue in the benchmarks would tell: an audit that never saw a cap exceeded proves nothing.
import { expect, test } from "vitest";
import { broken, capsExceeded, claim, finish, giveBack, hasWork, setTenants, submit } from "../../bench/queue/store.ts";
import { newId } from "../../src/engine/ids.ts";
import { freshDatabase } from "../support/postgres.ts";

test("the journal shows how many of a tenant's runs were held at the same time", async () => {
  const { db, drop } = await freshDatabase();
  try {
    await setTenants(db, [
      { tenant: "kept", cap: 1 },
      { tenant: "exceeded", cap: 3 },
    ]);
    await submit(db, ["kept", "kept", "exceeded", "exceeded", "exceeded"]);
    const worker = newId();
    const first = await claim(db, worker, 50);
    expect(first.map((run) => run.tenant_id).sort()).toEqual(["exceeded", "exceeded", "exceeded", "kept"]);
    await finish(db, worker, first.slice(0, 2));
    await giveBack(db, worker, first.slice(2));
    for (let claims = await claim(db, worker, 1); claims.length > 0; claims = await claim(db, worker, 1))
      await finish(db, worker, claims);
    expect(await hasWork(db)).toBe(false);
    expect(await capsExceeded(db)).toEqual({ claims: 7, exceeded: 0, highest: 1 });
    expect(await broken(db)).toEqual([]);
    await setTenants(db, [{ tenant: "exceeded", cap: 2 }]);
    expect(await capsExceeded(db)).toEqual({ claims: 7, exceeded: 1, highest: 1.5 });
  } finally {
    await drop();
  }
});
