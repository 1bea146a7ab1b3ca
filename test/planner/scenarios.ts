// Small scenarios that the tests of the planner share.
import type { Scenario } from "../../src/planner/scenario.ts";
import type { Workload } from "../../src/planner/workload.ts";

export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;

/** Runs of a minute with ten calls, a thousand a day. */
export const workload: Workload = {
  perDay: 1_000,
  pace: { per: "run", time: { kind: "lognormal", meanMs: 60_000, p95Ms: 120_000 } },
  callsPerRun: 10,
  tokensPerCall: 1_000,
};

export function scenario(changes: Partial<Scenario> = {}): Scenario {
  return { workload, fleet: { workers: 1, slots: 10 }, durationMs: DAY_MS, ...changes };
}

/** The mean wait in a queue with Poisson arrivals, exponential service and c servers, by Erlang's formula. */
export function erlangWaitMs(arrivalsPerMs: number, serviceMs: number, servers: number): number {
  const offered = arrivalsPerMs * serviceMs;
  let blocked = 1;
  for (let n = 1; n <= servers; n++) blocked = (offered * blocked) / (n + offered * blocked);
  const queued = blocked / (1 - (offered / servers) * (1 - blocked));
  return (queued * serviceMs) / (servers - offered);
}
