// One statement that stores a run and claims: what the claim takes is what comes first, as always.
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { newId } from "../../src/engine/ids.ts";
import { type ClaimRequest, EVERY_TURN } from "../../src/store/claim.ts";
import { pauseTenant } from "../../src/store/plans.ts";
import { submitAndClaim } from "../../src/store/submit-claim.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { aRun, submit, wrongCounters } from "../support/runs.ts";

let fresh: FreshDatabase;
beforeAll(async () => {
  fresh = await freshDatabase();
});
afterEach(async () => expect(await wrongCounters(fresh.db)).toEqual([]));
afterAll(() => fresh.drop());

const oneOf = (queue: string): ClaimRequest => ({
  workerId: newId(),
  leaseMs: 60_000,
  queue,
  builds: ["b", "b", "b"],
  bands: [0, 1, 2],
  floors: [EVERY_TURN, EVERY_TURN, EVERY_TURN],
  count: 1,
  turns: 4,
});

test("a run that was there before is claimed, and the new one is stored", async () => {
  const queue = newId();
  const [early] = await submit(fresh.db, { queue });
  const late = aRun({ queue });
  const { told, claims } = await submitAndClaim(fresh.db, late, oneOf(queue));
  expect(told).toMatchObject({ asked_id: late.runId, run_id: late.runId, existing: false, refused: null });
  expect(claims.map((run) => run.run_id)).toEqual([early?.run_id]);
  const next = await submitAndClaim(fresh.db, late, oneOf(queue));
  expect(next.told).toMatchObject({ run_id: late.runId, existing: true });
  expect(next.claims).toMatchObject([{ run_id: late.runId, epoch: 1, queue, created_at: expect.any(Date) }]);
});

test("a more urgent run goes before one that was there, and a paused tenant's is only stored", async () => {
  const [queue, tenant] = [newId(), newId()];
  await submit(fresh.db, { queue, tenant, priority: 100 });
  const urgent = aRun({ queue, tenant, priority: 50 });
  const { claims } = await submitAndClaim(fresh.db, urgent, oneOf(queue));
  expect(claims.map((run) => run.run_id)).toEqual([urgent.runId]);
  await pauseTenant(fresh.db, tenant, true);
  const waits = await submitAndClaim(fresh.db, aRun({ queue, tenant }), oneOf(queue));
  expect(waits).toMatchObject({ told: { existing: false, refused: null }, claims: [] });
});
