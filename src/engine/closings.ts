// What became of a run's calls, until it is written down: with the record of the step that made them, or soon without it.
import type { CallOutcome, OpenedCall } from "../domain/calls.ts";
import type { Closing, NewCall } from "../store/calls.ts";
import type { Committer } from "./commit.ts";

/** How long the closing of an attempt that failed waits for its step's append, and one that succeeded. */
const FAILED_MS = 100;
const SUCCEEDED_MS = 2_000;

interface Pending {
  readonly closings: { readonly closing: Closing; readonly epoch: number }[];
  timer: NodeJS.Timeout | undefined;
}

export class Closings {
  readonly #committer: Pick<Committer, "closeCall">;
  readonly #runId: string;
  /** By step. */
  readonly #pending = new Map<string, Pending>();
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
    return pending.closings.map(({ closing }) => closing);
  }

  /** Sends everything, and waits until it is written; null when there is nothing to wait for. */
  flush(): Promise<void> | null {
    for (const step of [...this.#pending.keys()]) this.#send(step);
    return this.#sending.size === 0 ? null : Promise.allSettled(this.#sending).then(() => undefined);
  }

  close(): void {
    for (const { timer } of this.#pending.values()) clearTimeout(timer);
  }

  #add(closing: Closing, step: string | null, epoch: number): void {
    const key = step ?? "";
    const pending = this.#pending.get(key) ?? { closings: [], timer: undefined };
    this.#pending.set(key, pending);
    pending.closings.push({ closing, epoch });
    if (step === null) this.#send(key);
    else if (closing.state === "failed") this.#sendLater(key, pending, FAILED_MS);
    else if (pending.timer === undefined) this.#sendLater(key, pending, SUCCEEDED_MS);
  }

  #sendLater(key: string, pending: Pending, ms: number): void {
    clearTimeout(pending.timer);
    pending.timer = setTimeout(() => this.#send(key), ms);
    pending.timer.unref();
  }

  #send(key: string): void {
    const closings = this.#pending.get(key)?.closings ?? [];
    this.#drop(key);
    for (const { closing, epoch } of closings) {
      // What is not written is charged at its estimate, when the run ends or goes on elsewhere.
      const sent = this.#committer.closeCall({ accountId: this.#runId, epoch, ...closing }).catch(() => undefined);
      this.#sending.add(sent);
      void sent.finally(() => this.#sending.delete(sent));
    }
  }

  #drop(key: string): void {
    clearTimeout(this.#pending.get(key)?.timer);
    this.#pending.delete(key);
  }
}
