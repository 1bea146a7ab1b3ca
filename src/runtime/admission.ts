// Saying no early: a submit that this process or the installation cannot take now is refused at once, before it costs anything.
import { fail, type LonghaulError } from "../domain/errors.ts";
import {
  POOL_WAIT_MS_MAX,
  SUBMITS_WAITING_BYTES_MAX,
  SUBMITS_WAITING_MAX,
  UNFINISHED_KNOWN_MS,
} from "../domain/limits.ts";
import type { Database } from "../store/database.ts";
import { countUnfinished } from "../store/tenants.ts";
import type { AdmissionView } from "./limits-api.ts";

const OVERLOADED_RETRY_MS = 1_000;
const FULL_RETRY_MS = 5_000;

/** What has to be known of the submits that wait to be sent. */
export interface Backlog {
  readonly waiting: { readonly items: number; readonly bytes: number };
}

export class Admission {
  readonly #db: Pick<Database, "poolWaitMs" | "query">;
  readonly #backlog: Backlog;
  readonly #unfinishedMax: number | null;
  /** As the database told it last, and what this process has let in since. */
  #unfinished = 0;
  #knownMs = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | null = null;

  constructor(db: Pick<Database, "poolWaitMs" | "query">, backlog: Backlog, unfinishedMax: number | null) {
    this.#db = db;
    this.#backlog = backlog;
    this.#unfinishedMax = unfinishedMax;
  }

  /** Lets one run in. Other processes let in their own, so that the installation's limit is exceeded by a second's worth at most. */
  async admit(): Promise<void> {
    const refusal = this.#overload() ?? (await this.#fullness());
    if (refusal !== null) throw refusal;
    this.#unfinished += 1;
  }

  async view(): Promise<AdmissionView> {
    const refusal = this.#overload() ?? (await this.#fullness());
    const unfinished = this.#unfinishedMax === null ? null : this.#unfinished;
    return { accepts: refusal === null, code: refusal?.code ?? null, unfinished, unfinishedMax: this.#unfinishedMax };
  }

  #overload(): LonghaulError | null {
    const { items, bytes } = this.#backlog.waiting;
    const waitMs = this.#db.poolWaitMs;
    if (items >= SUBMITS_WAITING_MAX || bytes >= SUBMITS_WAITING_BYTES_MAX)
      return overloaded(`${items} submits wait to be stored`);
    if (waitMs > POOL_WAIT_MS_MAX)
      return overloaded(`a connection to the database has been waited for for ${Math.round(waitMs)} ms`);
    return null;
  }

  async #fullness(): Promise<LonghaulError | null> {
    const limit = this.#unfinishedMax;
    if (limit === null) return null;
    if (performance.now() - this.#knownMs > UNFINISHED_KNOWN_MS) {
      this.#reading ??= this.#read();
      await this.#reading;
    }
    if (this.#unfinished < limit) return null;
    return fail("SYSTEM_FULL", { unfinished: this.#unfinished, limit }, { details: { retryAfterMs: FULL_RETRY_MS } });
  }

  async #read(): Promise<void> {
    try {
      this.#unfinished = await countUnfinished(this.#db);
      this.#knownMs = performance.now();
    } finally {
      this.#reading = null;
    }
  }
}

function overloaded(reason: string): LonghaulError {
  return fail("OVERLOADED", { reason }, { details: { retryAfterMs: OVERLOADED_RETRY_MS } });
}
