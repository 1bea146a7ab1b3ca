// Sending a farewell: the last entries and the move in one fenced statement, one at a time.
import type { Committer } from "./commit.ts";
import type { Farewell } from "./finish.ts";
import type { RunJournal } from "./journal.ts";
import type { Mailbox } from "./mailbox.ts";
import { pause } from "./timing.ts";

/** What a farewell needs of its run. */
export interface SettlingRun {
  readonly runId: string;
  readonly epoch: number;
  readonly activeMs: number;
  readonly journal: RunJournal;
  readonly mailbox: Mailbox;
  readonly owner: { readonly committer: Committer };
  /** Writes what is left to be said of model calls; null when there is nothing. */
  closeCalls(): Promise<void> | null;
}

/** `inbox`: mail has come since it was looked at. `cancel`: it is to be cancelled instead. */
export type SettledAs = "done" | "inbox" | "cancel" | "lost";

export interface SettleEvents {
  /** Told before anybody else hears of it. */
  readonly onSettled: (as: SettledAs) => void;
  /** It cannot be stored. */
  readonly onBroken: (error: unknown) => void;
}

export class Settling {
  readonly #run: SettlingRun;
  readonly #events: SettleEvents;
  #busy = false;

  constructor(run: SettlingRun, events: SettleEvents) {
    this.#run = run;
    this.#events = events;
  }

  /** A farewell is under way. */
  get busy(): boolean {
    return this.#busy;
  }

  async over(): Promise<void> {
    while (this.#busy) await pause(1);
  }

  /** @param compose Called when nothing else of the run is being written. */
  async send(compose: () => Farewell): Promise<SettledAs | "busy" | "broken"> {
    if (this.#busy) return "busy";
    this.#busy = true;
    let as: SettledAs;
    const closing = this.#run.closeCalls();
    if (closing !== null) await closing;
    try {
      as = await this.#run.journal.exclusive((first) => this.#write(first, compose));
    } catch (error) {
      this.#busy = false;
      this.#events.onBroken(error);
      return "broken";
    }
    this.#busy = false;
    this.#events.onSettled(as);
    return as;
  }

  async #write(first: number, compose: () => Farewell): Promise<{ stored: number; result: SettledAs }> {
    const { journal, mailbox, owner, runId, epoch } = this.#run;
    const rest = journal.takeRest();
    const { entry, to } = compose();
    const entries = [...rest.entries, entry];
    const consumed = [...rest.consumed, ...mailbox.takeNudges()];
    const { activeMs } = this.#run;
    const result = await owner.committer.settle({ runId, epoch, first, activeMs, entries, to, consumed });
    // The run goes on: what was to go with the farewell goes with the next write.
    if (result === "done" && to.move === "wait") journal.release();
    if (result === "inbox" || result === "cancel") journal.putBack(rest.entries, rest.consumed);
    return { stored: result === "done" ? entries.length : 0, result };
  }
}
