// Runs whose processes died again and again, each tried in a process of its own, so that only the guilty ones are set aside.
import type { ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import type { Database } from "../store/database.ts";
import { freeWorker } from "../store/sweep.ts";
import { newId } from "./ids.ts";

/** Starts a process that runs one run and nothing else. */
export type Isolate = (runId: string, workerId: string) => ChildProcess;

export interface IsolationOptions {
  readonly db: Database;
  /** Null: runs cannot be tried alone here. */
  readonly isolate: Isolate | null;
  /** A process has ended, and nothing is held in its name any more: there is room for another. */
  readonly onRoom: () => void;
  readonly log: (level: "warn" | "error", message: string, fields: Record<string, unknown>) => void;
}

/** Starting a process costs most of a core's second: more at once would be no faster. */
const AT_ONCE_MAX = 4;

export class Isolation {
  readonly #options: IsolationOptions;
  readonly #atOnce = Math.min(AT_ONCE_MAX, availableParallelism());
  readonly #trying = new Set<string>();

  constructor(options: IsolationOptions) {
    this.#options = options;
  }

  /** Tries as many of these as there is room for. Never two in one process: what the first left behind could kill the second. */
  try(runIds: readonly string[]): void {
    const { isolate } = this.#options;
    if (isolate === null) return;
    for (const runId of runIds)
      if (this.#trying.size < this.#atOnce && !this.#trying.has(runId)) this.#try(runId, isolate);
  }

  #try(runId: string, isolate: Isolate): void {
    const { log } = this.#options;
    this.#trying.add(runId);
    log("warn", "a run whose process died twice is tried alone", { runId });
    const workerId = newId();
    const process = isolate(runId, workerId);
    process.once("exit", () => this.#ended(runId, workerId));
    process.once("error", (error) => {
      log("error", "the process for an isolated run could not be started", { runId, error });
      this.#ended(runId, workerId);
    });
  }

  /** What it still holds need not wait for its lease to lapse. */
  #ended(runId: string, workerId: string): void {
    const { db, onRoom } = this.#options;
    freeWorker(db, workerId)
      .then(onRoom, () => undefined)
      .finally(() => this.#trying.delete(runId));
  }
}
