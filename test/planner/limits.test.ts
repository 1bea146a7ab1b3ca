// What must never happen in the simulator, as in the real system: caps and provider limits exceeded, tenants starved.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FairQueue } from "../../src/planner/fair-queue.ts";
import { MINUTE_MS, Provider } from "../../src/planner/provider.ts";
import { simulate } from "../../src/planner/simulate.ts";
import { scenario, workload } from "./scenarios.ts";

interface Item {
  readonly tenant: number;
  readonly number: number;
}

/** A queue in which each tenant has the same number of runs ready. */
function backlog(tenants: ConstructorParameters<typeof FairQueue>[0], runs: number): FairQueue<Item> {
  const queue = new FairQueue<Item>(tenants);
  for (const tenant of tenants.keys()) for (let n = 0; n < runs; n++) queue.push({ tenant, number: tenant * runs + n });
  return queue;
}

function served(queue: FairQueue<Item>, claims: number, perClaim: number): number[] {
  const counts: number[] = [];
  for (let claim = 0; claim < claims; claim++)
    for (const { tenant } of queue.take(perClaim)) {
      counts[tenant] = (counts[tenant] ?? 0) + 1;
      queue.release(tenant);
    }
  return counts;
}

describe("fairness", () => {
  test.each([
    [3, 1],
    [20, 1],
    [20, 7],
    [5, 50],
  ])("%i equal tenants, %i a claim: Jain's index is 1", (tenants, perClaim) => {
    const counts = served(
      backlog(
        Array.from({ length: tenants }, () => ({})),
        1_000,
      ),
      Math.ceil((tenants * 200) / perClaim),
      perClaim,
    );
    const sum = counts.reduce((total, count) => total + count, 0);
    const squares = counts.reduce((total, count) => total + count ** 2, 0);
    expect(counts).toHaveLength(tenants);
    expect(sum ** 2 / (tenants * squares)).toBeGreaterThan(0.995);
  });

  test("a tenant of weight 3 gets three times as much", () => {
    const [one = 0, heavy = 0] = served(backlog([{}, { weight: 3 }], 1_000), 400, 1);
    expect(heavy / one).toBeCloseTo(3, 1);
  });

  test("one run does not wait behind a thousand, and idling earned it no credit", () => {
    const queue = new FairQueue<Item>([{}, {}]);
    for (let n = 0; n < 1_000; n++) queue.push({ tenant: 0, number: n });
    queue.take(500);
    for (let n = 0; n < 100; n++) queue.push({ tenant: 1, number: 5_000 + n });
    const next = Array.from({ length: 20 }, () => queue.take(1)[0]?.tenant);
    expect(next.slice(0, 2)).toContain(1);
    expect(next.filter((tenant) => tenant === 0).length).toBeGreaterThanOrEqual(8);
  });

  test("runs of one tenant leave in the order in which they came, also when they come back", () => {
    const queue = new FairQueue<Item>([{}]);
    for (const number of [5, 9, 7]) queue.push({ tenant: 0, number });
    queue.push({ tenant: 0, number: 2 });
    expect(queue.take(4).map(({ number }) => number)).toEqual([2, 5, 7, 9]);
  });
});

test("no cap is ever exceeded, and what can run does run", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ cap: fc.integer({ min: 1, max: 4 }), weight: fc.integer({ min: 1, max: 5 }) }), {
        minLength: 1,
        maxLength: 12,
      }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 1_000 }),
      (tenants, slots, seed) => {
        let over = 0;
        const onClaim = (tenant: number, inFlight: number) => {
          if (inFlight > (tenants[tenant]?.cap ?? 0)) over += 1;
        };
        const result = simulate(
          scenario({
            workload: { ...workload, perDay: 20_000, tenants },
            fleet: { workers: 1, slots },
            durationMs: 3_600_000,
            probe: { onClaim },
            seed,
          }),
        );
        expect(over).toBe(0);
        expect(result.runningMax).toBeLessThanOrEqual(slots);
        // Nobody idles while somebody who may run is queued.
        const room = tenants.reduce((sum, { cap }) => sum + cap, 0);
        if (result.queueDepthMax > 200) expect(result.runningMax).toBe(Math.min(slots, room));
      },
    ),
    { numRuns: 40 },
  );
});

describe("the provider", () => {
  /** Most units that begin in any window of a minute. */
  function worstMinute(moments: readonly number[], units: number): number {
    let first = 0;
    let worst = 0;
    for (const [last, moment] of moments.entries()) {
      while ((moments[first] as number) <= moment - MINUTE_MS) first += 1;
      worst = Math.max(worst, (last - first + 1) * units);
    }
    return worst;
  }

  test("no sliding minute has more requests or tokens than allowed, whatever comes", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 4_000 }), { minLength: 50, maxLength: 400 }),
        fc.integer({ min: 10, max: 100 }),
        fc.integer({ min: 1, max: 900 }),
        (gapsMs, requestsPerMinute, tokensPerCall) => {
          const provider = new Provider({ requestsPerMinute, tokensPerMinute: 10_000 }, tokensPerCall);
          let nowMs = 0;
          const moments = gapsMs.map((gapMs) => {
            nowMs += gapMs;
            return provider.book(nowMs);
          });
          expect(worstMinute(moments, 1)).toBeLessThanOrEqual(requestsPerMinute);
          expect(worstMinute(moments, tokensPerCall)).toBeLessThanOrEqual(10_000);
        },
      ),
    );
  });

  test("in a whole simulation neither, and it is used almost as far as it may be", () => {
    const moments: number[] = [];
    const limits = { requestsPerMinute: 60, tokensPerMinute: null };
    const result = simulate(
      scenario({
        workload: { ...workload, perDay: 12_000 },
        limits,
        probe: { onCall: (goesMs) => moments.push(goesMs) },
      }),
    );
    expect(worstMinute(moments, 1)).toBeLessThanOrEqual(60);
    expect(result.utilisation.requests).toBeGreaterThan(0.85);
    expect(result.callWait.p95Ms).toBeGreaterThan(1_000);
  });
});
