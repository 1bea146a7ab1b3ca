// What comes in: how many runs, when in the day, how long they take, whom they belong to, and which of them wait.
import { requireNumber } from "./checks.ts";
import { type Distribution, samplerOf } from "./distribution.ts";
import type { TenantSpec } from "./fair-queue.ts";
import { Random } from "./random.ts";

export const DAY_MS = 86_400_000;

export interface Workload {
  /** Runs per day; they come independently of each other (Poisson). */
  readonly perDay: number;
  /** How busy equal parts of the day are, relative to each other; see `dayProfile`. Default: all alike. */
  readonly profile?: readonly number[];
  /** Time that a run is active, or from one of its model calls to the next. Waiting for people or for a quota is not in it. */
  readonly pace: { readonly per: "run" | "call"; readonly time: Distribution };
  /** Model calls of a run, evenly spread over it. */
  readonly callsPerRun: number;
  /** Input and output together. */
  readonly tokensPerCall: number;
  /** Journaled steps per model call: the call itself and the tools it asks for. Default 2. */
  readonly stepsPerCall?: number;
  /** The part of the runs that waits once, for a person or a timer, half-way and without a slot. Default: none. */
  readonly waiting?: { readonly share: number; readonly time: Distribution };
  /** Default: one without a cap. */
  readonly tenants?: readonly TenantSpec[];
}

/** One run that comes in. */
export interface Arrival {
  readonly atMs: number;
  readonly tenant: number;
  /** Active time; null: every call takes its own, as the workload says. */
  readonly runMs: number | null;
  /** 0: it does not wait. */
  readonly waitMs: number;
}

/** Arrivals in the order of time; null when no more come. */
export type Arrivals = () => Arrival | null;

/** The same arrivals for the same seed, whoever works them off: fleets are compared on the same luck. @throws CAPACITY_INVALID */
export function arrivalsOf(workload: Workload, seed: number): Arrivals {
  requireNumber("Runs per day", workload.perDay, { min: 0, aboveMin: true });
  const { pace, waiting = { share: 0, time: { kind: "constant", ms: 0 } } } = workload;
  const nextMs = momentsOf(workload, new Random(seed, 1));
  const tenantOf = tenantPicker(workload.tenants ?? [{}], new Random(seed, 2));
  const [runs, waits] = [new Random(seed, 3), new Random(seed, 4)];
  const sampleRun = samplerOf("Run time", pace.time);
  const sampleWait = samplerOf("Waiting time", waiting.time);
  const share = requireNumber("Share of runs that wait", waiting.share, { min: 0, max: 1 });
  return () => ({
    atMs: nextMs(),
    tenant: tenantOf(),
    runMs: pace.per === "run" ? sampleRun(runs) : null,
    waitMs: share > 0 && waits.uniform() < share ? sampleWait(waits) : 0,
  });
}

/** Moments of a Poisson process whose rate follows the profile of the day. */
function momentsOf({ perDay, profile = [1] }: Workload, random: Random): () => number {
  const sum = profile.reduce((total, part) => total + requireNumber("A part of the day", part, { min: 0 }), 0);
  requireNumber("The profile of the day", sum, { min: 0, aboveMin: true });
  const partMs = DAY_MS / profile.length;
  const perMs = profile.map((part) => (perDay * part) / sum / partMs);
  let part = 0;
  let nowMs = 0;
  return () => {
    // So much of the process must pass until the next one; a busy hour passes more of it.
    let left = random.exponential();
    for (;;) {
      const rate = perMs[part % perMs.length] as number;
      const endMs = (part + 1) * partMs;
      const passes = rate * (endMs - nowMs);
      if (passes > left) {
        nowMs += left / rate;
        return nowMs;
      }
      left -= passes;
      nowMs = endMs;
      part += 1;
    }
  };
}

function tenantPicker(tenants: readonly TenantSpec[], random: Random): () => number {
  const shares = tenants.map(({ share = 1 }) => requireNumber("Share of a tenant", share, { min: 0 }));
  const bounds: number[] = [];
  for (const share of shares) bounds.push((bounds.at(-1) ?? 0) + share);
  const sum = requireNumber("Shares of all tenants", bounds.at(-1) ?? 0, { min: 0, aboveMin: true });
  if (bounds.length === 1) return () => 0;
  return () => firstAbove(bounds, random.uniform() * sum);
}

/** Place of the first bound above the value, in ascending bounds. */
function firstAbove(bounds: readonly number[], value: number): number {
  let [low, high] = [0, bounds.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((bounds[middle] as number) > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
