// The runs that a worker has in its hands, each with its slot and its lease.
import type { Claimed } from "../store/claim.ts";
import type { Execution } from "./execution.ts";
import type { LeaseKeeper } from "./lease.ts";
import type { Slots } from "./slots.ts";

/** Stands for a claimed run whose journal is still being read. */
const COMING = Symbol("coming");

export class Hands {
  readonly #slots: Slots;
  readonly #leases: LeaseKeeper;
  readonly #runs = new Map<string, Execution | typeof COMING>();
  #onEmpty: (() => void) | null = null;

  constructor(slots: Slots, leases: LeaseKeeper) {
    this.#slots = slots;
    this.#leases = leases;
  }

  get size(): number {
    return this.#runs.size;
  }

  get ids(): string[] {
    return [...this.#runs.keys()];
  }

  /** Those that are live already. */
  get executions(): Execution[] {
    return [...this.#runs.values()].filter((run) => run !== COMING);
  }

  has(runId: string): boolean {
    return this.#runs.has(runId);
  }

  /** The execution of a run; none while its journal is still being read. */
  get(runId: string): Execution | undefined {
    const run = this.#runs.get(runId);
    return run === COMING ? undefined : run;
  }

  /** True when this is the execution of its run here, and not one that was lost. */
  holds(execution: Execution): boolean {
    return this.#runs.get(execution.runId) === execution;
  }

  /** A run was claimed by a statement sent at this moment. It counts from now on, however long its journal takes to read. */
  take(claim: Claimed, sentMs: number): void {
    this.#leases.hold(claim.run_id, claim.epoch, sentMs);
    this.#slots.take(claim.run_id, claim.queue);
    this.#runs.set(claim.run_id, COMING);
  }

  /** The run is live. */
  put(execution: Execution): void {
    this.#runs.set(execution.runId, execution);
  }

  /** False for a run that was lost and claimed anew since. */
  stillHas(claim: Claimed): boolean {
    return this.#leases.standing(claim.run_id, claim.epoch) !== "gone";
  }

  letGo(runId: string): void {
    this.#runs.delete(runId);
    this.#leases.release(runId);
    this.#slots.give(runId);
    if (this.#runs.size > 0) return;
    this.#onEmpty?.();
    this.#onEmpty = null;
  }

  async untilEmpty(): Promise<void> {
    while (this.#runs.size > 0) await new Promise<void>((resolve) => (this.#onEmpty = resolve));
  }
}
