// One run's pen: numbers the entries, keeps at most one write of the run under way, and tells the waiters in order.
import { fail } from "../domain/errors.ts";
import type { Apart } from "../store/blobs.ts";
import type { Closing } from "../store/calls.ts";
import { isConnectionLost } from "../store/driver-errors.ts";
import type { Append, Extras, NewEntry } from "../store/journal.ts";
import type { AppendVerdict, Committer, News } from "./commit.ts";
import { Draft } from "./draft.ts";
import { Waiters } from "./waiters.ts";

export interface JournalEvents {
  /** A write went through, and this is what the database said. If it is known when it was sent, it has extended the lease. */
  readonly onNews: (news: News, sentMs: number | null) => void;
  /** The run belongs to somebody else now. */
  readonly onLost: () => void;
  /** The database refuses an entry of this run: the run cannot go on. */
  readonly onBroken: (error: unknown) => void;
  /** Somebody is about to be told that an entry is committed. */
  readonly onTell: () => void;
  /** Entries are committed up to this one. */
  readonly onCommitted: (seq: number) => void;
}

export class RunJournal {
  readonly runId: string;
  readonly tenant: string;
  epoch: number;
  readonly #committer: Committer;
  readonly #events: JournalEvents;
  readonly #entriesMax: number;
  #committed: number;
  /** Entries up to here lie before the last checkpoint: they do not count against the limit. */
  #before = 0;
  /** False while the run sleeps: what is buffered then waits until it is claimed again. */
  #held = true;
  readonly #draft: Draft;
  readonly #waiters: Waiters;
  #line: Promise<void> = Promise.resolve();
  #scheduled = false;
  #dead = false;

  constructor(
    run: { runId: string; tenant: string; epoch: number; seq: number; entriesMax: number },
    committer: Committer,
    events: JournalEvents,
  ) {
    this.runId = run.runId;
    this.tenant = run.tenant;
    this.epoch = run.epoch;
    this.#committed = run.seq;
    this.#entriesMax = run.entriesMax;
    this.#committer = committer;
    this.#events = events;
    this.#draft = new Draft(run.tenant);
    this.#waiters = new Waiters(events.onTell);
  }

  /** Number of the last entry, stored or not. */
  get seq(): number {
    return this.#committed + this.#draft.length;
  }

  /** Number of the last entry that is stored. */
  get stored(): number {
    return this.#committed;
  }

  /** True when something waits to be written. */
  get hasMore(): boolean {
    return this.#draft.length > 0;
  }

  /** The run was let go: nothing is written until it is claimed again. */
  release(): void {
    this.#held = false;
  }

  /** After a warm continuation: the same journal under the next epoch. */
  continueAs(epoch: number, seq: number): void {
    this.epoch = epoch;
    this.#committed = seq;
    this.#held = true;
    if (this.hasMore) this.flush();
  }

  /** A checkpoint: the limit of entries counts from here on. */
  restart(seq = this.seq): void {
    this.#before = seq;
  }

  /**
   * Adds an entry to the next write, which somebody else or `flush` starts. The value goes inline, or apart when it is large.
   *
   * @param meta JSON members before the value, without braces: `"n":1,"ms":12`.
   * @throws JOURNAL_FULL
   */
  buffer(kind: number, key: string | null, meta: string, value: string | null, extras?: Extras): void {
    this.#makeRoom();
    this.#draft.add(this.compose(kind, key, meta, value), extras);
  }

  /** Adds an entry that is composed already, and waits until it is committed. */
  add(entry: NewEntry, extras?: Extras): Promise<void> {
    this.#makeRoom();
    this.#draft.add(entry, extras);
    return this.#committedUpTo(this.seq);
  }

  /** An entry with its value inline or under a hash; then it brings the value along. */
  compose(kind: number, key: string | null, meta: string, value: string | null): NewEntry {
    return this.#draft.compose(kind, key, meta, value);
  }

  /** A large value under its hash, for the statement that refers to it. */
  apart(value: string): Apart {
    return this.#draft.apart(value);
  }

  /** Adds an entry and waits until it is committed. */
  append(kind: number, key: string | null, meta: string, value: string | null, extras?: Extras): Promise<void> {
    this.buffer(kind, key, meta, value, extras);
    return this.#committedUpTo(this.seq);
  }

  /** Starts a write of what is buffered. */
  flush(): void {
    if (this.#scheduled || this.#dead) return;
    this.#scheduled = true;
    void this.#inLine(() => this.#write());
  }

  /** Waits until everything so far is committed. */
  async settled(): Promise<void> {
    if (this.#draft.length > 0) await this.#committedUpTo(this.seq);
    await this.#line;
  }

  /**
   * Runs a write of its own kind while no other write of the run is under way. `work` gets the number of the next entry and
   * answers how many entries it stored.
   */
  exclusive<T>(work: (first: number) => Promise<{ stored: number; result: T }>): Promise<T> {
    return this.#inLine(async () => {
      try {
        do await this.#write();
        while (
          // What came meanwhile and changes more than the journal goes the same way, before somebody else writes for it.
          this.#draft.hasMore &&
          this.#held &&
          !this.#dead
        );
        const { stored, result } = await work(this.#committed + 1);
        this.#committed += stored;
        if (stored > 0) this.#events.onCommitted(this.#committed);
        return result;
      } catch (error) {
        if (!isConnectionLost(error)) throw error;
        return await this.#outOfReach();
      }
    });
  }

  /** Asks the database whether the run is still ours, which extends its lease. */
  confirm(): Promise<void> {
    return this.exclusive(async (first) => {
      const nothing: Append = { runId: this.runId, epoch: this.epoch, first, entries: [] };
      this.#answer(nothing, await this.#committer.append(nothing));
      return { stored: 0, result: undefined };
    });
  }

  /** The database did not answer as long as the lease lasted: the run is given up, whoever takes it knows what is stored. */
  #outOfReach(): Promise<never> {
    if (!this.#dead) this.#events.onLost();
    return new Promise(() => undefined);
  }

  /** What is buffered and not yet written, for a farewell that writes it. Call inside `exclusive` only. */
  takeRest(): { entries: NewEntry[]; consumed: readonly number[] } {
    const { entries, extras } = this.#draft.take();
    return { entries, consumed: extras?.consumed ?? [] };
  }

  /** What `takeRest` gave, when the farewell did not come about. Call inside `exclusive` only. */
  putBack(entries: readonly NewEntry[], consumed: readonly number[]): void {
    this.#draft.putBack(entries, consumed.length === 0 ? null : { consumed });
  }

  /** Nothing of this run is written any more. */
  kill(): void {
    this.#dead = true;
    this.#draft.clear();
    this.#waiters.clear();
  }

  #committedUpTo(seq: number): Promise<void> {
    const committed = this.#waiters.until(seq);
    this.flush();
    return committed;
  }

  /** @throws JOURNAL_FULL */
  #makeRoom(): void {
    if (this.seq - this.#before >= this.#entriesMax)
      throw fail("JOURNAL_FULL", { run: this.runId, limit: this.#entriesMax });
  }

  #inLine<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#line.then(work);
    this.#line = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  async #write(): Promise<void> {
    this.#scheduled = false;
    if (this.#dead || !this.#held || this.#draft.length === 0) return;
    const { entries, extras } = this.#draft.take();
    const plain: Append = { runId: this.runId, epoch: this.epoch, first: this.#committed + 1, entries };
    const spend = extras === null ? null : onlySpend(extras);
    const append = spend === null ? plain : { spend, ...plain };
    // What is buffered from here on is numbered after this write: it is the only one under way.
    this.#committed += append.entries.length;
    try {
      const verdict =
        extras === null || spend !== null
          ? await this.#committer.append(append)
          : await this.#committer.appendWith(append, extras);
      this.#answer(append, verdict);
    } catch (error) {
      // Refused as a whole: nothing of it is stored, so the next entry takes its number.
      this.#committed -= append.entries.length;
      if (isConnectionLost(error)) await this.#outOfReach();
      if (!this.#dead) this.#events.onBroken(error);
    }
  }

  #answer(append: Append, verdict: AppendVerdict): void {
    if (this.#dead) return;
    if (verdict.verdict !== "done") {
      this.#events.onLost();
      return;
    }
    const upTo = append.first + append.entries.length - 1;
    this.#events.onCommitted(upTo);
    this.#events.onNews(verdict, verdict.sentMs);
    this.#waiters.committed(upTo);
  }
}

/** What model calls cost, where that is all that changes besides the journal: it goes with the writes of other runs. Else null. */
function onlySpend({ spend, consumed, approvals, expired, threadState }: Extras): readonly Closing[] | null {
  const isAll =
    (consumed?.length ?? 0) + (approvals?.length ?? 0) + (expired?.length ?? 0) === 0 && threadState === undefined;
  return isAll && spend !== undefined && spend.length > 0 ? spend : null;
}
