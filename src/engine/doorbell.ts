// Hints: "there is something to claim", "a run has mail", "a run has ended", "a run begins to speak". They save waiting, and may be lost: whoever listens
// also looks by itself now and then.
import { setTimeout as later } from "node:timers";
import type { Database } from "../store/database.ts";
import { type Listener, listen, ring } from "../store/hints.ts";

export type Topic = "ready" | "inbox" | "finished" | "journal" | "tokens";
/** The runs concerned, or null when there are too many to name. */
export type HintHandler = (runIds: readonly string[] | null) => void;

const REMOTE: readonly Topic[] = ["ready", "inbox", "finished", "tokens"];
/** At most one NOTIFY in this time from one process: its commit takes a database-wide lock. */
const QUIET_MS = 20;
const NAMED_MAX = 60;
const RETRY_MS = 2_000;

export class Doorbell {
  readonly #db: Database;
  readonly #channel: string;
  readonly #origin = Math.random().toString(36).slice(2, 10);
  readonly #handlers = new Map<Topic, Set<HintHandler>>();
  #pending = new Map<Topic, Set<string>>();
  #local = new Map<Topic, Set<string>>();
  #localScheduled = false;
  #timer: NodeJS.Timeout | undefined;
  #rungMs = Number.NEGATIVE_INFINITY;
  #listener: Listener | null = null;
  /** Something has arrived since we listen: a pooler may take LISTEN and give the session to somebody else. */
  #heard = false;
  #closed = false;

  constructor(db: Database) {
    this.#db = db;
    this.#channel = `longhaul_${db.schema}`;
  }

  /** False while hints of other processes do not arrive: poll faster then. */
  get connected(): boolean {
    return this.#listener !== null && this.#heard;
  }

  on(topic: Topic, handler: HintHandler): () => void {
    const handlers = this.#handlers.get(topic) ?? new Set();
    this.#handlers.set(topic, handlers.add(handler));
    return () => void handlers.delete(handler);
  }

  /** Tells this process at once and, for what others may wait for, all processes soon. */
  ring(topic: Topic, runId: string): void {
    add(this.#local, topic, runId);
    if (!this.#localScheduled) {
      this.#localScheduled = true;
      setImmediate(() => this.#tellLocal());
    }
    if (!REMOTE.includes(topic) || this.#closed) return;
    add(this.#pending, topic, runId);
    if (this.#timer !== undefined) return;
    const waitMs = this.#rungMs + QUIET_MS - performance.now();
    if (waitMs > 0) this.#timer = later(() => void this.#send(), waitMs);
    else {
      // Not by a timer, which takes a millisecond at least.
      this.#rungMs = performance.now();
      setImmediate(() => void this.#send());
    }
  }

  /** Listens, and goes on trying when it cannot (behind a transaction pooler nothing is heard: polling alone will do). */
  async open(): Promise<void> {
    if (this.#closed) return;
    try {
      this.#listener = await listen(
        this.#db,
        this.#channel,
        (payload) => this.#hear(payload),
        () => this.#down(),
      );
      // Our own word, sent on another connection, tells whether any comes through.
      void ring(this.#db, this.#channel, JSON.stringify({ from: this.#origin })).catch(() => undefined);
      // What was rung while nobody listened is unknown: look at everything.
      for (const topic of REMOTE) this.#tell(topic, null);
    } catch {
      this.#down();
    }
    if (this.#closed) this.#listener?.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    if (this.#pending.size > 0) await this.#send();
    this.#listener?.close();
    this.#listener = null;
  }

  #down(): void {
    this.#listener = null;
    this.#heard = false;
    if (!this.#closed) setTimeout(() => void this.open(), RETRY_MS).unref();
  }

  #tellLocal(): void {
    this.#localScheduled = false;
    const local = this.#local;
    this.#local = new Map();
    for (const [topic, ids] of local) this.#tell(topic, [...ids]);
  }

  async #send(): Promise<void> {
    this.#timer = undefined;
    if (this.#pending.size === 0) return;
    this.#rungMs = performance.now();
    const pending = this.#pending;
    this.#pending = new Map();
    const message: Record<string, unknown> = { from: this.#origin };
    for (const [topic, ids] of pending) message[topic] = ids.size > NAMED_MAX ? null : [...ids];
    try {
      await ring(this.#db, this.#channel, JSON.stringify(message));
    } catch {
      // A lost hint costs latency only.
    }
  }

  #hear(payload: string): void {
    this.#heard = true;
    let message: Record<string, unknown>;
    try {
      message = JSON.parse(payload) as Record<string, unknown>;
    } catch {
      return;
    }
    if (message["from"] === this.#origin) return;
    for (const topic of REMOTE) if (topic in message) this.#tell(topic, message[topic] as string[] | null);
  }

  #tell(topic: Topic, runIds: readonly string[] | null): void {
    for (const handler of this.#handlers.get(topic) ?? []) handler(runIds);
  }
}

function add(map: Map<Topic, Set<string>>, topic: Topic, runId: string): void {
  const ids = map.get(topic) ?? new Set();
  map.set(topic, ids.add(runId));
}
