// Keeps the leases of everything this worker runs, and notices when one could not be kept.
import { Worker as Thread } from "node:worker_threads";
import { LEASE_TRUSTED_PART } from "../domain/limits.ts";
import type { Database } from "../store/database.ts";
import { HEARTBEAT_THREAD, type HeartbeatRow, heartbeatData } from "../store/heartbeat.ts";
import type { Standing } from "./roles.ts";

export interface LeaseOptions {
  readonly db: Database;
  readonly workerId: string;
  readonly leaseMs: number;
  /** The main thread may be stuck this long before its leases are let go. */
  readonly stallMs: number;
  /** Then the process is killed: for one that does nothing but run agents. */
  readonly endWhenStalled: boolean;
  readonly onBeat: (row: HeartbeatRow) => void;
  /** The lease was not extended in the trusted part of its time: whoever runs it asks the database now. */
  readonly onDoubt: (runId: string) => void;
  /** Nor in the rest of it: the run must stop, somebody else may have it. */
  readonly onLapsed: (runId: string) => void;
  readonly log: (level: "warn" | "error", message: string, fields?: Record<string, unknown>) => void;
}

/** How often the main thread shows that it moves, and looks whether a lease is in doubt. */
const WATCH_MS = 250;

export class LeaseKeeper {
  readonly #options: LeaseOptions;
  readonly #held = new Map<string, { epoch: number; untilMs: number }>();
  readonly #progress = new SharedArrayBuffer(4);
  #thread: Thread | null = null;
  #changed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LeaseOptions) {
    this.#options = options;
  }

  start(): void {
    this.#startThread();
    const counter = new Int32Array(this.#progress);
    this.#timer = setInterval(() => {
      Atomics.add(counter, 0, 1);
      this.#post();
      // After a time in which this thread stood still: first hear what the heartbeats have to say.
      setImmediate(() => this.#doubt());
    }, WATCH_MS);
  }

  /** A claim that was sent at this moment gave the run to this worker. */
  hold(runId: string, epoch: number, sentMs: number): void {
    this.#held.set(runId, { epoch, untilMs: sentMs + this.#options.leaseMs });
    this.#changed = true;
  }

  /** A write that was sent at this moment has extended its lease: how long ago its answer was given nobody knows. */
  extended(runId: string, sentMs: number): void {
    const held = this.#held.get(runId);
    if (held !== undefined) held.untilMs = Math.max(held.untilMs, sentMs + this.#options.leaseMs);
  }

  /** Whether somebody else can have the run by now: in doubt after this process stood still for long, gone with another epoch. */
  standing(runId: string, epoch: number): Standing {
    const held = this.#held.get(runId);
    if (held?.epoch !== epoch) return "gone";
    return this.#isTrusted(held.untilMs) ? "trusted" : "doubtful";
  }

  release(runId: string): void {
    this.#changed = this.#held.delete(runId) || this.#changed;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    const thread = this.#thread;
    this.#thread = null;
    thread?.postMessage({ type: "stop" });
    await thread?.terminate();
  }

  #startThread(): void {
    const { db, workerId, leaseMs, stallMs, endWhenStalled, log } = this.#options;
    const beatMs = Math.min(1_000, Math.floor(leaseMs / 3));
    const thread = new Thread(HEARTBEAT_THREAD, {
      workerData: {
        ...heartbeatData(db),
        workerId,
        leaseMs,
        stallMs,
        endWhenStalled,
        beatMs,
        progress: this.#progress,
      },
      execArgv: [],
    });
    thread.on("message", (message) => this.#hear(message));
    thread.on("error", (error) => log("error", "the heartbeat thread failed", { error }));
    thread.on("exit", () => {
      if (this.#thread !== thread) return;
      // Without it the leases would lapse one after the other: start another.
      this.#changed = true;
      setTimeout(() => this.#thread === thread && this.#startThread(), 100).unref();
    });
    thread.unref();
    this.#thread = thread;
  }

  #post(): void {
    if (!this.#changed) return;
    this.#changed = false;
    this.#thread?.postMessage({
      type: "runs",
      ids: [...this.#held.keys()],
      epochs: [...this.#held.values()].map((held) => held.epoch),
    });
  }

  #hear(message: { type: string; sentAt?: number; rows?: HeartbeatRow[]; message?: string }): void {
    if (message.type === "stalled") this.#options.log("warn", "the event loop is blocked: its leases are being let go");
    else if (message.type === "failed") this.#options.log("warn", "a heartbeat failed", { reason: message.message });
    else {
      const sentMs = (message.sentAt ?? 0) - performance.timeOrigin;
      for (const row of message.rows ?? []) {
        const held = this.#held.get(row.run_id);
        if (held === undefined) continue;
        if (row.held) held.untilMs = Math.max(held.untilMs, sentMs + this.#options.leaseMs);
        this.#options.onBeat(row);
      }
    }
  }

  #doubt(): void {
    const { onDoubt, onLapsed } = this.#options;
    for (const [runId, held] of this.#held) {
      if (performance.now() > held.untilMs) onLapsed(runId);
      else if (!this.#isTrusted(held.untilMs)) onDoubt(runId);
    }
  }

  #isTrusted(untilMs: number): boolean {
    return performance.now() <= untilMs - this.#options.leaseMs * (1 - LEASE_TRUSTED_PART);
  }
}
