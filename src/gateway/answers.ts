// Answers that will do again, and calls that are being made already: identical calls run once, in whatever process.
import { createHash, randomUUID } from "node:crypto";
import { VALUE_BYTES_MAX } from "../domain/limits.ts";
import { fitsUtf8, hasLoneSurrogate } from "../domain/text.ts";
import { failAnswer, giveAnswer, renewAnswers, seekAnswer } from "../store/answers.ts";
import type { Database } from "../store/database.ts";
import { untilAnswered } from "../store/patience.ts";
import { AnswerFollower, type Followed } from "./answer-follower.ts";
import type { AnswerDesk } from "./parts.ts";

export interface AnswersOptions {
  readonly db: Database;
  /** How long a call waits for a database that does not answer. Default 10 s. */
  readonly patienceMs?: number;
  /** How long others wait for one who makes a call and has died. Default 10 s. */
  readonly leaseMs?: number;
  readonly log?: (level: "warn", message: string, fields?: Record<string, unknown>) => void;
}

type Ask = Parameters<AnswerDesk["lead"]>[0];
type Part = Awaited<ReturnType<AnswerDesk["lead"]>>;

const LEASE_MS = 10_000;
/** An answer that nobody wants kept is there for those who wait for it. */
const KEEP_MS_MIN = 10_000;

export class Answers implements AnswerDesk {
  readonly #options: AnswersOptions;
  readonly #leaseMs: number;
  readonly #follower: AnswerFollower;
  /** Calls that this process makes, by the owner's id. */
  readonly #led = new Map<string, { readonly key: Buffer; readonly owner: string }>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AnswersOptions) {
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
    this.#follower = new AnswerFollower(options.db);
  }

  /**
   * The answer of an equal call, or the part of making it. Who waits for another's call waits as long as that takes; when it came to
   * nothing he makes his own.
   *
   * @throws the reason of the abort
   */
  async lead(ask: Ask): Promise<Part> {
    const { tenant, cacheMs, coalesce: share, abort } = ask;
    const key = createHash("sha256")
      .update(JSON.stringify([tenant, ask.key]))
      .digest();
    for (;;) {
      abort.throwIfAborted();
      const owner = randomUUID();
      const seek = { key, tenant, owner, cacheMs, share, leaseMs: this.#leaseMs };
      const { db, patienceMs } = this.#options;
      const found = await untilAnswered(() => seekAnswer(db, seek), patienceMs);
      if (found.role === "done") return { is: "answer", text: found.value ?? "", source: "cache" };
      if (found.role !== "pending") return this.#part(key, owner, ask, found.role === "lead");
      const end: Followed = await this.#follower.follow(key, found.seen, abort);
      if (end.state === "done") return { is: "answer", text: end.value, source: "coalesced" };
      if (end.state === "failed") return this.#part(key, owner, ask, false);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#follower.close();
  }

  #part(key: Buffer, owner: string, { tenant, cacheMs }: Ask, leads: boolean): Part {
    if (leads) this.#hold(key, owner);
    const keepMs = Math.max(cacheMs ?? 0, KEEP_MS_MIN);
    const withdraw = async (): Promise<void> => {
      if (!this.#letGo(owner)) return;
      this.#follower.tell(key, { state: "failed" });
      await this.#quietly(() => failAnswer(this.#options.db, key, owner));
    };
    const publish = async (text: string): Promise<void> => {
      if (!leads && cacheMs === null) return;
      // What cannot be kept as it is, is not kept.
      if (!fitsUtf8(text, VALUE_BYTES_MAX) || text.includes("\0") || hasLoneSurrogate(text)) return withdraw();
      this.#letGo(owner);
      this.#follower.tell(key, { state: "done", value: text });
      await this.#quietly(() => giveAnswer(this.#options.db, key, tenant, owner, keepMs, text));
    };
    return { is: "lead", publish, withdraw };
  }

  /** What others do not learn costs them the time of the lease, never the answer of this call. */
  async #quietly(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#options.log?.("warn", "an answer could not be shared", { error });
    }
  }

  #hold(key: Buffer, owner: string): void {
    this.#led.set(owner, { key, owner });
    this.#timer ??= setInterval(() => this.#renew(), this.#leaseMs / 3).unref();
  }

  #letGo(owner: string): boolean {
    const held = this.#led.delete(owner);
    if (this.#led.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    return held;
  }

  #renew(): void {
    void this.#quietly(() => renewAnswers(this.#options.db, [...this.#led.values()], this.#leaseMs));
  }
}
