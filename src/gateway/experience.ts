// What has been learned about models, shared by all processes: read at the first call, written down now and then.
import type { Database } from "../store/database.ts";
import { readModelFactors, saveModelFactors } from "../store/model-factors.ts";
import type { Estimator } from "./estimate.ts";

const SAVE_EVERY_MS = 30_000;

export class Experience {
  readonly #db: Database;
  readonly #estimator: Estimator;
  #loading: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(db: Database, estimator: Estimator) {
    this.#db = db;
    this.#estimator = estimator;
  }

  /** Estimates are only estimates: nothing fails for want of them. */
  ready(): Promise<void> {
    this.#timer ??= setInterval(() => void this.#save(), SAVE_EVERY_MS).unref();
    this.#loading ??= readModelFactors(this.#db).then(
      (rows) => this.#estimator.restore(rows),
      () => undefined,
    );
    return this.#loading;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#save();
  }

  async #save(): Promise<void> {
    const rows = this.#estimator.snapshot();
    if (rows.length > 0) await saveModelFactors(this.#db, rows).catch(() => undefined);
  }
}
