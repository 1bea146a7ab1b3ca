// Everything a run waits for at this moment: how it is resolved, by message or by time, and what the row says while the run sleeps.
import { KIND } from "../domain/entry.ts";
import { childKey, childOf, type Message } from "../domain/message.ts";
import { encodeValue } from "../domain/value.ts";
import type { WaitRow } from "../store/finish.ts";
import type { Committer } from "./commit.ts";
import type { RunJournal } from "./journal.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Replay } from "./replay.ts";
import type { Scope } from "./scope.ts";
import { Alarm, type DatabaseClock, nextTurn } from "./timing.ts";
import type { Values } from "./values.ts";

/** How a wait ended. */
export type Resolution = { readonly by: "message"; readonly value: unknown } | { readonly by: "time" };

export interface PendingWait {
  /** Key of the step in the journal; null for a backoff, which leaves no trace of its own. */
  readonly key: string | null;
  /** What a message must be addressed to. */
  readonly address: string;
  readonly scope: Scope;
  readonly dueMs: number | null;
  /** On this process's monotonic clock: it does not end earlier than this, where it was opened here. */
  readonly notBeforeMs?: number;
  readonly label: string;
  /** Waits of one group wake the run together, when the last is there; a bad child at once. */
  readonly group: string | null;
  readonly approvalId: string | null;
  /** A backoff that a message may end: of this step, after so many failed attempts. That it did is recorded as an attempt put off till now. */
  readonly early?: { readonly key: string; readonly failed: number };
  readonly resolve: (resolution: Resolution) => void;
}

/** What the waits of a run need of it. */
export interface WaitsHost {
  readonly runId: string;
  readonly epoch: number;
  /** True while the run is in this worker's hands and not being let go or stopped. */
  readonly active: boolean;
  readonly root: Scope;
  readonly journal: RunJournal;
  readonly mailbox: Mailbox;
  readonly replay: Replay;
  readonly openChildren: Map<string, string>;
  readonly owner: {
    readonly clock: DatabaseClock;
    readonly committer: Committer;
    readonly settings: { readonly holdMs: number };
  };
  during<T>(work: () => Promise<T>): Promise<T>;
  /** Something changed: look whether all that is left is waiting. */
  idle(): void;
  lose(): void;
  fail(error: unknown): void;
  readonly values: Values;
}

interface Open extends PendingWait {
  alarm: Alarm | null;
  resolving: boolean;
}

export class Waits {
  readonly #run: WaitsHost;
  readonly #open = new Set<Open>();

  constructor(execution: WaitsHost) {
    this.#run = execution;
  }

  open(wait: PendingWait): void {
    const open: Open = { alarm: null, resolving: false, ...wait };
    this.#open.add(open);
    this.#arm(open);
    this.#offer(open);
    this.#run.idle();
  }

  /** Gives kept messages to the waits that ask for them. */
  distribute(): void {
    for (const wait of this.#open) this.#offer(wait);
    this.#run.idle();
  }

  /** True when there is something to wait for, nothing of it is being resolved, and no timer rings soon. */
  canSleep(): boolean {
    this.#prune();
    if (this.#open.size === 0) return false;
    const soonMs = this.#run.owner.clock.now() + this.#run.owner.settings.holdMs;
    for (const wait of this.#open) if (wait.resolving || (wait.dueMs !== null && wait.dueMs <= soonMs)) return false;
    return true;
  }

  /** What the rows say while the run sleeps. */
  describe(): { need: number; waits: WaitRow[]; dueAt: Date | null } {
    const open = [...this.#open];
    const group = open[0]?.group ?? null;
    const together = group !== null && open.every((wait) => wait.group === group);
    const byAddress = new Map<string, WaitRow>();
    let dueMs: number | null = null;
    for (const wait of open) {
      if (wait.dueMs !== null) dueMs = dueMs === null ? wait.dueMs : Math.min(dueMs, wait.dueMs);
      const dueAt = wait.dueMs === null ? null : new Date(wait.dueMs);
      byAddress.set(wait.address, { key: wait.address, dueAt, failFast: together, label: wait.label });
    }
    return {
      need: together ? byAddress.size : 1,
      waits: [...byAddress.values()],
      dueAt: dueMs === null ? null : new Date(dueMs),
    };
  }

  /** Stops the alarms: the run sleeps, or is being stopped. */
  suspend(): void {
    for (const wait of this.#open) {
      wait.alarm?.clear();
      wait.alarm = null;
    }
  }

  /** After a warm continuation. */
  rearm(): void {
    for (const wait of this.#open) this.#arm(wait);
  }

  /** Asks the replay for the ends of children that were awaited by nobody but the end of the run. */
  recallChildren(): void {
    const { replay, openChildren } = this.#run;
    for (const runId of openChildren.keys()) {
      const key = this.#endKey(runId);
      if (replay.find(key) !== undefined) replay.request(key, () => void openChildren.delete(runId));
    }
  }

  /** Waits for every attached child that nobody has waited for: a parent never ends before its children. */
  async forChildren(): Promise<void> {
    this.#prune();
    const awaited = new Set([...this.#open].map((wait) => wait.address));
    const left = [...this.#run.openChildren];
    await Promise.all(
      left.map(([runId, agent]) => {
        return new Promise<void>((resolve) => {
          if (awaited.has(childKey(runId))) this.#follow(childKey(runId), resolve);
          else this.#awaitChild(runId, agent, resolve);
        });
      }),
    );
  }

  #awaitChild(runId: string, agent: string, resolve: () => void): void {
    this.open({
      key: this.#endKey(runId),
      address: childKey(runId),
      scope: this.#run.root,
      dueMs: null,
      label: `child ${agent} ${runId}`,
      group: "(end)",
      approvalId: null,
      resolve: () => resolve(),
    });
  }

  /** Names the child, so that it does not depend on the order in which they end. */
  #endKey(runId: string): string {
    return `${this.#run.root.prefix}(end) ${runId.slice(-12)}`;
  }

  /** Somebody waits for this address already: be told with them. */
  #follow(address: string, resolve: () => void): void {
    for (const wait of this.#open) {
      if (wait.address !== address) continue;
      const first = wait.resolve;
      (wait as { resolve: PendingWait["resolve"] }).resolve = (resolution) => {
        first(resolution);
        resolve();
      };
      return;
    }
    resolve();
  }

  #arm(wait: Open): void {
    wait.alarm?.clear();
    if (wait.dueMs === null) return;
    wait.alarm = new Alarm(this.#run.owner.clock, wait.dueMs, wait.notBeforeMs ?? 0, () => {
      this.#timeUp(wait).catch((error) => this.#run.fail(error));
    });
  }

  /** Branches that lost their race wait for nothing. */
  #prune(): void {
    for (const wait of this.#open) {
      if (!wait.scope.closed) continue;
      wait.alarm?.clear();
      this.#open.delete(wait);
    }
  }

  #offer(wait: Open): void {
    if (wait.resolving || wait.scope.closed || !this.#run.active) return;
    const message = this.#run.mailbox.take(wait.address);
    if (message === undefined) return;
    wait.resolving = true;
    wait.alarm?.clear();
    this.#run.during(() => this.#receive(wait, message)).catch((error) => this.#run.fail(error));
  }

  async #receive(wait: Open, message: Message): Promise<void> {
    const { journal } = this.#run;
    // At once: when the branch that waits for it loses meanwhile, nobody else must begin to wait for this child.
    if (message.kind === "child") this.#run.openChildren.delete(childOf(message.key));
    const value = await this.#run.values.ofMessage(message.body, message.blob);
    const meta = `"by":"message"`;
    const entry =
      wait.early !== undefined
        ? this.#early(wait.early, wait.label)
        : message.blob === null
          ? journal.compose(KIND.received, wait.key, meta, message.body ?? "null")
          : { kind: KIND.received, key: wait.key, body: `{${meta},"m":${message.body ?? "null"}}`, blob: message.blob };
    await journal.add(entry, { consumed: [message.seq] });
    this.#resolve(wait, { by: "message", value });
    await nextTurn();
  }

  #early({ key, failed }: NonNullable<PendingWait["early"]>, reason: string) {
    const meta = `"n":${failed},"ms":0,"r":${Math.floor(this.#run.owner.clock.now())},"p":true`;
    return this.#run.journal.compose(KIND.attempt, key, meta, encodeValue(reason));
  }

  async #timeUp(wait: Open): Promise<void> {
    const execution = this.#run;
    if (wait.resolving || !execution.active || !this.#open.has(wait)) return;
    wait.resolving = true;
    await execution.during(async () => {
      if (wait.approvalId !== null) {
        if (!(await this.#expire(wait, wait.approvalId))) {
          wait.resolving = false;
          await execution.mailbox.refresh();
          return;
        }
      } else if (wait.key !== null) await execution.journal.append(KIND.received, wait.key, `"by":"time"`, null);
      this.#resolve(wait, { by: "time" });
      await nextTurn();
    });
  }

  /** False when somebody answered in the same moment: the answer holds. */
  #expire(wait: Open, approvalId: string): Promise<boolean> {
    const { journal, owner, epoch, runId } = this.#run;
    return journal.exclusive(async (first) => {
      const entry = journal.compose(KIND.received, wait.key, `"by":"time"`, null);
      const verdict = await owner.committer.appendWith(
        { runId, epoch, first, entries: [entry] },
        { expired: [approvalId] },
      );
      if (verdict.verdict === "lost") this.#run.lose();
      return { stored: verdict.verdict === "done" ? 1 : 0, result: verdict.verdict === "done" };
    });
  }

  #resolve(wait: Open, resolution: Resolution): void {
    this.#open.delete(wait);
    wait.alarm?.clear();
    if (!wait.scope.closed) wait.resolve(resolution);
  }
}
