// Workers without agents: some loops that claim, hold for a moment and finish, and a record of whose runs started in which order.
import { newId } from "../../src/engine/ids.ts";
import { pause } from "../lab/until.ts";
import { together } from "./crowd.ts";
import { claim, type Database, finish } from "./store.ts";

export class Claimers {
  /** Whose run started, in the order of the claims. */
  readonly starts: string[] = [];
  readonly slots: number;
  readonly #db: Database;
  readonly #loops: number;
  readonly #batch: number;
  readonly #holdMs: number;

  constructor(db: Database, options: { readonly loops: number; readonly batch: number; readonly holdMs: number }) {
    this.#db = db;
    this.#loops = options.loops;
    this.#batch = options.batch;
    this.#holdMs = options.holdMs;
    this.slots = options.loops * options.batch;
  }

  /** Works until so many runs have started, or `isEnough` says so. */
  async work(isEnough: (starts: number) => boolean): Promise<void> {
    await together(this.#loops, async () => {
      const workerId = newId();
      while (!isEnough(this.starts.length)) {
        const claims = await claim(this.#db, workerId, this.#batch);
        for (const run of claims) this.starts.push(run.tenant_id);
        if (claims.length === 0) await pause(1);
        else {
          await pause(this.#holdMs);
          await finish(this.#db, workerId, claims);
        }
      }
    });
  }
}
