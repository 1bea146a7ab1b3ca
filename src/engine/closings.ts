// What became of a run's calls, until it is written down: with the record of the step that made them, or soon without it.
import type { CallOutcome, OpenedCall } from "../domain/calls.ts";
import type { Account, Closing, NewCall } from "../store/calls.ts";
import type { Committer } from "./commit.ts";

/** How long the closing of an attempt that failed waits for its step's append, and one that succeeded. */
const FAILED_MS = 100;
const SUCCEEDED_MS = 2_000;

interface Pending {
  readonly closing: Closing;
  readonly epoch: number;
}

export class Closings {
  readonly #committer: Pick<Committer, "closeCall">;
  readonly #runId: string;
  readonly #pending = new Map<string, Pending[]>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #sending = new Set<Promise<void>>();

  constructor(committer: Pick<Committer, "closeCall">, runId: string) {
    this.#committer = committer;
    this.#runId = runId;
  }

  /** What is given to whoever opened a call. Its first word counts. */
  of(callId: string, step: string | null, epoch: number): OpenedCall {
    let told = false;
    const tell = (state: "succeeded" | "failed", failure: string | null, outcome: CallOutcome): void => {
      if (told) return;
      told = true;
      this.#add({ callId, state, failure, outcome }, step, epoch);
    };
    return {
      callId,
      succeeded: (outcome) => tell("succeeded", null, outcome),
      failed: (failure, outcome) => tell("failed", failure, outcome),
    };
  }

  /** A call that was never opened, because nothing went out. */
  note(fresh: NewCall, outcome: CallOutcome, step: string | null, epoch: number): void {
    this.#add({ callId: fresh.callId, state: "succeeded", failure: null, outcome, fresh }, step, epoch);
  }

  /** For the append of a step: waits for those of it that are under way by themselves. Null for none. */
  take(step: string): Closing[] | null {
    const pending = this.#pending.get(step);
    if (pending === undefined) return null;
    this.#drop(step);
    return pending.map(({ closing }) => closing);
  }

  /** Sends everything, and waits until it is written; null when there is nothing to wait for. */
  flush(): Promise<void> | null {
    for (const step of [...this.#pending.keys()]) this.#send(step);
    return this.#sending.size === 0 ? null : Promise.allSettled(this.#sending).then(() => undefined);
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #add(closing: Closing, step: string | null, epoch: number): void {
    const key = step ?? "";
    const pending = this.#pending.get(key);
    if (pending === undefined) this.#pending.set(key, [{ closing, epoch }]);
    else pending.push({ closing, epoch });
    if (step === null) this.#send(key);
    else if (closing.state === "failed" || !this.#timers.has(key))
      this.#sendLater(key, closing.state === "failed" ? FAILED_MS : SUCCEEDED_MS);
  }

  #sendLater(key: string, ms: number): void {
    clearTimeout(this.#timers.get(key));
    const timer = setTimeout(() => this.#send(key), ms);
    timer.unref();
    this.#timers.set(key, timer);
  }

  #send(key: string): void {
    const pending = this.#pending.get(key) ?? [];
    this.#drop(key);
    for (const { closing, epoch } of pending) {
      const account: Account = { accountId: this.#runId, epoch };
      // What is not written is charged at its estimate, when the run ends or goes on elsewhere.
      const sent = this.#committer.closeCall({ ...closing, ...account }).catch(() => undefined);
      this.#sending.add(sent);
      void sent.finally(() => this.#sending.delete(sent));
    }
  }

  #drop(key: string): void {
    this.#pending.delete(key);
    clearTimeout(this.#timers.get(key));
    this.#timers.delete(key);
  }
}
