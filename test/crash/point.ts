// The names of crash points: workload, mode, and which of its requests; `plain:kill-before:17`, `retry:cut-after:tick-2`.
import type { Workload } from "./workloads.ts";

/**
 * What happens to the victim when a request of its has arrived (before) or has been answered (after):
 * - kill: it dies, and its supervisor frees its leases.
 * - cut: that connection is lost; the commit's outcome is unknown to it.
 * - outage: all connections are lost, and no new one comes about for a while.
 * - freeze: it stands still until its leases have lapsed and another worker has its runs, and goes on while that one works.
 * - zombie: it stands still until its leases have lapsed and all is done by others, and goes on then.
 */
const FAULTS = ["kill", "cut", "outage", "freeze", "zombie"] as const;
const SIDES = ["before", "after"] as const;
export type Fault = (typeof FAULTS)[number];
export type Side = (typeof SIDES)[number];

export interface Point {
  readonly workload: string;
  readonly fault: Fault;
  readonly side: Side;
  /** Which request: the nth of those that the workload causes, or the nth of those that time causes (`tick-2`, `beat-1`). */
  readonly request: string;
}

/** A client holds no lease: nobody takes over from a frozen one. */
export function faultsOf(victim: Workload["victim"]): readonly Fault[] {
  return victim === "worker" ? FAULTS : FAULTS.filter((fault) => fault !== "freeze" && fault !== "zombie");
}

export function nameOf({ workload, fault, side, request }: Point): string {
  return `${workload}:${fault}-${side}:${request}`;
}

export function parsePoint(name: string): Point {
  const [, workload, fault, side, request] = /^([a-z-]+):([a-z]+)-(before|after):(\d+|[a-z]+-\d+)$/.exec(name) ?? [];
  if (workload === undefined || side === undefined || request === undefined || !FAULTS.includes(fault as Fault)) {
    throw new Error(`${name} is not the name of a crash point, like plain:kill-before:17`);
  }
  return { workload, fault: fault as Fault, side: side as Side, request };
}

/** All points of a workload whose undisturbed run made these requests. */
export function pointsOf(workload: string, faults: readonly Fault[], requests: readonly string[]): Point[] {
  return faults.flatMap((fault) =>
    SIDES.flatMap((side) => requests.map((request) => ({ workload, fault, side, request }))),
  );
}
