// One claimed run in memory, from its claim to its farewell. The verbs an agent has are in step.ts, wait.ts, children.ts and
// record.ts; this file knows when the run may be let go, and why it is stopped.

import type { Entry } from "../domain/entry.ts";
import { KIND } from "../domain/entry.ts";
import { fail, LonghaulError } from "../domain/errors.ts";
import { toFailure } from "../domain/failure.ts";
import { decodeValue, encodeValue } from "../domain/value.ts";
import { getBlob } from "../store/blobs.ts";
import type { Claimed } from "../store/claim.ts";
import { isConnectionLost } from "../store/driver-errors.ts";
import type { Move } from "../store/finish.ts";
import type { Committer, News } from "./commit.ts";
import { untilAnswered } from "./commit.ts";
import { RunJournal } from "./journal.ts";
import { Mailbox } from "./mailbox.ts";
import { metaOf, Replay } from "./replay.ts";
import { generationPrefix, KEPT_STATE, Scope, Turns } from "./scope.ts";
import { type DatabaseClock, nextTurn, pause } from "./timing.ts";
import { Waits } from "./waits.ts";

/** What the engine knows of an agent: something with a name and limits that it can run on an execution. */
export interface ProgramLimits {
  readonly children: number;
  readonly depth: number;
  readonly treeSize: number;
  /** Null: unlimited. */
  readonly activeMs: number | null;
  readonly entries: number;
}

/** An agent as the engine runs it. */
export interface Program {
  readonly name: string;
  readonly limits: ProgramLimits;
  run(execution: Execution, input: unknown): Promise<unknown>;
}

/** The programs of one build, by name. */
export type Programs = ReadonlyMap<string, Program>;

export interface ExecutionSettings {
  /** Timers that ring within this time are waited for in place. */
  readonly holdMs: number;
  /** How long a cancelled or timed-out step may take to hear of it. */
  readonly graceMs: number;
  readonly mismatchGraceMs: number;
}

/** What the worker wants to hear from a run that it executes. */
export interface ExecutionOwner {
  readonly committer: Committer;
  readonly clock: DatabaseClock;
  readonly settings: ExecutionSettings;
  readonly programs: Programs;
  readonly log: (level: "debug" | "info" | "warn" | "error", message: string, fields?: Record<string, unknown>) => void;
  /** The run waits; its live function may be kept warm. */
  onReleased(execution: Execution): void;
  /** The run is no longer this worker's business. */
  onOver(execution: Execution): void;
  onLeaseExtended(execution: Execution): void;
  /** Entries were committed, messages sent, or runs made claimable: whoever listens may look. */
  hint(topic: "journal" | "ready" | "inbox" | "finished", runId: string): void;
  /** The code of a released run asks for something: put it back into the queue. */
  nudge(runId: string): void;
  cancelChild(runId: string): void;
  loadInbox(runId: string, after: number): Promise<import("../domain/message.ts").Message[]>;
}

type Stop = "cancel" | "drain" | "timeout" | "pause" | "lost" | "broken";
type Mode = "running" | "releasing" | "released" | "over";

/** Never settles: what the code of a stopped or released run gets. It must not see an error, and its `finally` must not run. */
const NEVER = new Promise<never>(() => undefined);

export class Execution {
  readonly claim: Claimed;
  readonly program: Program;
  readonly owner: ExecutionOwner;
  readonly replay: Replay;
  readonly journal: RunJournal;
  readonly waits: Waits;
  readonly mailbox: Mailbox;
  readonly root: Scope;
  readonly abort = new AbortController();
  epoch: number;
  /** Attached children that were submitted and whose end was not yet received. */
  readonly openChildren: Map<string, string>;
  childrenCount: number;
  /** When the earliest timer of the sleeping run rings, on the database's clock. */
  wakesAtMs: number | null = null;
  /** Kept across `ctx.state.set`, so that a read needs no query. */
  threadState: unknown;
  #busy = 0;
  readonly #underWay = new Set<string>();
  #mode: Mode = "running";
  #stop: Stop | null = null;
  #settling = false;
  /** The code has ended: nothing is left to wait for. */
  #ending = false;
  #idleCheck = false;
  #claimedAtMs = performance.now();
  #timeout: NodeJS.Timeout | undefined;
  #gate: { promise: Promise<void>; open: () => void } | null = null;
  #nudged = false;

  constructor(claim: Claimed, program: Program, entries: readonly Entry[], owner: ExecutionOwner) {
    this.claim = claim;
    this.program = program;
    this.owner = owner;
    this.epoch = claim.epoch;
    const run = {
      runId: claim.run_id,
      tenant: claim.tenant_id,
      epoch: claim.epoch,
      seq: claim.journal_seq,
      entriesMax: program.limits.entries,
    };
    this.journal = new RunJournal(run, owner.committer, {
      onNews: (news) => this.hear(news),
      onLost: () => this.lose(),
      onBroken: (error) => this.fail(error),
      onCommitted: () => this.#extended(),
    });
    this.replay = new Replay(entries, owner.settings.mismatchGraceMs, (problem) => this.mismatch(problem));
    this.journal.restart(this.replay.checkpointSeq);
    this.openChildren = new Map(this.replay.openChildren);
    this.childrenCount = this.replay.childrenBefore;
    this.waits = new Waits(this);
    this.mailbox = new Mailbox(
      {
        load: (after) => owner.loadInbox(this.runId, after),
        during: (work) => this.during(work),
        onMail: () => this.waits.distribute(),
        onUnreadable: (error) => owner.log("warn", "the inbox cannot be read now", { runId: this.runId, error }),
      },
      0,
    );
    this.root = new Scope("", null, generationPrefix(this.replay.generation), new Turns(), this.abort.signal);
  }

  get runId(): string {
    return this.claim.run_id;
  }

  get mode(): Mode {
    return this.#mode;
  }

  get active(): boolean {
    return this.#mode === "running" && !this.stopping;
  }

  get stopping(): boolean {
    return this.#stop !== null || this.#mode === "over";
  }

  /** Running time used so far, in this and earlier claims. */
  get activeMs(): number {
    return performance.now() - this.#claimedAtMs;
  }

  /** Runs the agent's code to its end, or to wherever it is stopped. Never throws. */
  async start(): Promise<void> {
    this.#armTimeout();
    if (this.claim.cancel !== null) {
      this.stop("cancel", this.claim.cancel);
      return;
    }
    this.mailbox.noticed(this.claim.inbox_seq);
    await this.replay.load((hash) => this.load(null, hash));
    if (this.threadState === undefined) this.threadState = this.replay.value(`${this.root.prefix}${KEPT_STATE}`)?.value;
    const input = await this.load(this.claim.input, this.claim.input_blob);
    let output: unknown;
    try {
      output = await this.program.run(this, input);
    } catch (error) {
      if (!this.stopping) await this.#failWith(error);
      return;
    }
    if (!this.stopping) await this.#succeed(output);
  }

  /** Continues a run that was kept warm: same code, next epoch. */
  continueAs(claim: Claimed): void {
    this.epoch = claim.epoch;
    this.#claimedAtMs = performance.now();
    this.journal.continueAs(claim.epoch, claim.journal_seq);
    (this as { claim: Claimed }).claim = claim;
    this.#mode = "running";
    this.#nudged = false;
    this.#armTimeout();
    if (claim.cancel !== null) {
      this.stop("cancel", claim.cancel);
      return;
    }
    this.#gate?.open();
    this.#gate = null;
    this.mailbox.noticed(claim.inbox_seq);
    this.waits.rearm();
    this.idle();
  }

  // --- for the verbs -------------------------------------------------------------------------------------------------

  /**
   * Where every verb passes before it starts something new: a stopped run or a closed branch goes no further, a released one
   * comes back first.
   */
  enter(scope: Scope): Promise<void> | undefined {
    if (this.stopping || scope.closed) return NEVER;
    if (this.#mode === "running") return undefined;
    if (this.#gate === null) {
      let open = (): void => undefined;
      const promise = new Promise<void>((resolve) => {
        open = resolve;
      });
      this.#gate = { promise, open };
    }
    if (this.#mode === "released") this.#nudge();
    return this.#gate.promise;
  }

  /** While something of the run is under way it cannot be let go. */
  async during<T>(work: () => Promise<T>, label?: string): Promise<T> {
    this.#busy += 1;
    if (label !== undefined) this.#underWay.add(label);
    try {
      return await work();
    } finally {
      this.#busy -= 1;
      if (label !== undefined) this.#underWay.delete(label);
      this.idle();
    }
  }

  /** Something the code asked for that has not ended, or null. */
  pending(): string | null {
    const [label] = this.#underWay;
    return label ?? this.root.pending ?? null;
  }

  /** What the code of a stopped run gets instead of a result. */
  never<T>(): Promise<T> {
    return NEVER;
  }

  /** A stored value, inline or apart. Never throws: a run whose values cannot be read stops, or is given up. */
  async load(text: string | null, blob: string | null): Promise<unknown> {
    try {
      if (blob === null) return text === null ? undefined : decodeValue(text);
      const { committer } = this.owner;
      const stored = await untilAnswered(() => getBlob(committer.db, this.claim.tenant_id, blob), committer.leaseMs);
      if (stored === null) throw new Error(`value ${blob} of run ${this.runId} is missing`);
      return decodeValue(stored);
    } catch (error) {
      if (isConnectionLost(error)) this.lose();
      else this.fail(error);
      return NEVER;
    }
  }

  /** The value of an entry, inline or apart. */
  async valueOf(entry: Entry): Promise<unknown> {
    return entry.blob === null ? metaOf(entry)["v"] : await this.load(null, entry.blob);
  }

  /** What a message says; a child's large output lies apart from how it ended. */
  async messageValue(body: string | null, blob: string | null): Promise<unknown> {
    const said = body === null ? undefined : decodeValue(body);
    if (blob === null) return said;
    return { ...(said as Record<string, unknown> | undefined), output: await this.load(null, blob) };
  }

  /** The same from the entry that recorded it. */
  async receivedValue(entry: Entry): Promise<unknown> {
    const meta = metaOf(entry);
    if (entry.blob === null || !("m" in meta)) return this.valueOf(entry);
    return { ...(meta["m"] as Record<string, unknown>), output: await this.load(null, entry.blob) };
  }

  // --- being told ----------------------------------------------------------------------------------------------------

  hear(news: News): void {
    this.#extended();
    if (news.cancel !== null) this.stop("cancel", news.cancel);
    else this.mailbox.noticed(news.inboxSeq);
  }

  /** The lease is gone: nothing more is written, the code is told through its signal and then forgotten. */
  lose(): void {
    if (this.#mode === "over") return;
    this.#stop = "lost";
    this.journal.kill();
    this.#over(fail("LEASE_LOST", { run: this.runId }));
  }

  /** Ends the run as failed from outside of its code: an entry, or something it needs, cannot be stored or read. */
  fail(error: unknown): void {
    if (this.stopping) return;
    this.owner.log("error", "the run cannot go on", { runId: this.runId, error });
    this.#stop = "broken";
    this.abort.abort(error);
    const reason = error instanceof LonghaulError ? error.code.toLowerCase() : "internal";
    void this.#finishFailed(reason, encodeValue(toFailure(error))).then(() => this.#over(null));
  }

  mismatch(problem: string): void {
    const { code, message, hint } = fail("HISTORY_MISMATCH", { run: this.runId, problem });
    this.owner.log("warn", message, { code, hint, runId: this.runId });
    this.stop("pause", `${code.toLowerCase()}: ${problem}`);
  }

  /** Stops the code at the next boundary and sends the run where the reason says. */
  stop(why: Exclude<Stop, "lost" | "broken">, reason: string, patienceMs = 0): void {
    if (this.stopping) return;
    this.#stop = why;
    this.waits.suspend();
    void this.#wind(why, reason, patienceMs);
  }

  /** Looks, a turn later, whether all that is left to do is waiting. */
  idle(): void {
    if (this.#idleCheck || this.#mode !== "running" || this.#settling || this.#ending) return;
    this.#idleCheck = true;
    void (async () => {
      // Twice: once for what has been resolved, once for what the code does with it.
      await nextTurn();
      await nextTurn();
      this.#idleCheck = false;
      if (this.#busy > 0 || this.stopping || this.#settling || this.#ending || !this.replay.done) return;
      if (this.waits.canSleep()) await this.#release();
    })();
  }

  // --- endings -------------------------------------------------------------------------------------------------------

  async #succeed(output: unknown): Promise<void> {
    this.waits.recallChildren();
    const leftover = await this.#leftover();
    if (this.stopping) return;
    if (leftover !== undefined) return this.mismatch(leftover);
    let encoded: string;
    try {
      encoded = encodeValue(output);
    } catch (error) {
      return this.#failWith(error);
    }
    const replaying = this.replay.ready("(end)");
    if (replaying !== undefined) await replaying;
    await this.waits.forChildren();
    await this.enter(this.root);
    this.#ending = true;
    await this.#settle((rest) => {
      const entry = this.journal.compose(KIND.finished, null, `"status":"succeeded"`, encoded);
      const inline = entry.blob === null;
      rest.push({ kind: KIND.finished, key: null, body: `{"status":"succeeded"}`, blob: null });
      return { move: "finish", status: "succeeded", output: inline ? encoded : null, outputBlob: entry.blob };
    });
  }

  async #failWith(thrown: unknown): Promise<void> {
    // Code that got further before has changed, or has a new bug: mended, it can go on from here.
    const leftover = await this.#leftover();
    if (this.stopping) return;
    if (leftover !== undefined)
      return this.mismatch(`${leftover}; it threw ${JSON.stringify(toFailure(thrown).message.slice(0, 200))}`);
    await this.enter(this.root);
    this.#ending = true;
    const reason = thrown instanceof LonghaulError ? thrown.code.toLowerCase() : null;
    const failure = encodeValue(toFailure(thrown));
    await this.#finishFailed(reason, failure);
  }

  /** What was recorded and is not asked for although the code has ended. Branches that still run get time to ask. */
  async #leftover(): Promise<string | undefined> {
    const deadline = performance.now() + this.owner.settings.mismatchGraceMs;
    while (this.replay.leftover() !== undefined && !this.stopping && performance.now() < deadline) await pause(5);
    return this.replay.leftover();
  }

  async #finishFailed(reason: string | null, failure: string): Promise<void> {
    await this.#settle((rest) => {
      rest.push({
        kind: KIND.finished,
        key: null,
        body: `{"status":"failed","reason":${JSON.stringify(reason)},"failure":${failure}}`,
        blob: null,
      });
      return { move: "finish", status: "failed", reason, failure };
    });
  }

  async #wind(why: Stop, reason: string, patienceMs: number): Promise<void> {
    while (this.#settling) await pause(1);
    if (this.#mode !== "running") {
      // It fell asleep, or ended, in the same moment: the database decides what becomes of it.
      this.#stop = null;
      return;
    }
    if (why === "drain") await this.#untilIdle(patienceMs);
    const stopped = fail(why === "timeout" ? "RUN_TIMEOUT" : "RUN_CANCELLED", {
      run: this.runId,
      reason,
      minutes: this.#minutes(),
    });
    this.abort.abort(stopped);
    await this.#untilIdle(this.owner.settings.graceMs);
    if (why === "timeout") return this.#finishFailed("run_timeout", encodeValue(toFailure(stopped)));
    await this.#settle((rest) => {
      if (why === "cancel") {
        rest.push({
          kind: KIND.finished,
          key: null,
          body: `{"status":"cancelled","reason":${JSON.stringify(reason)}}`,
          blob: null,
        });
        return { move: "finish", status: "cancelled", reason };
      }
      const move = why === "pause" ? "pause" : "yield";
      rest.push({
        kind: KIND.released,
        key: null,
        body: `{"move":"${move}","reason":${JSON.stringify(reason)}}`,
        blob: null,
      });
      return move === "pause" ? { move, reason } : { move };
    });
  }

  async #release(): Promise<void> {
    this.#mode = "releasing";
    const verdict = await this.#settle((rest) => {
      const sleep = this.waits.describe();
      this.wakesAtMs = sleep.dueAt?.getTime() ?? null;
      const body = { move: "wait", for: sleep.waits.map((wait) => wait.label) };
      rest.push({ kind: KIND.released, key: null, body: encodeValue(body), blob: null });
      return { move: "wait", inboxSeq: this.mailbox.seen, ...sleep };
    });
    if (verdict === "inbox") {
      this.#mode = "running";
      this.#gate?.open();
      this.#gate = null;
      await this.mailbox.refresh();
      this.idle();
    }
  }

  /** The farewell: the last entries and the move in one fenced statement. */
  async #settle(compose: (rest: import("../store/journal.ts").NewEntry[]) => Move): Promise<string> {
    if (this.#settling) return "busy";
    this.#settling = true;
    let verdict: string;
    try {
      verdict = await this.journal.exclusive(async (first) => {
        const rest = this.journal.takeRest();
        const before = rest.entries.length;
        const to = compose(rest.entries);
        await this.journal.storeBlobs();
        const consumed = [...rest.consumed, ...this.mailbox.takeNudges()];
        const settle = {
          runId: this.runId,
          epoch: this.epoch,
          first,
          entries: rest.entries,
          to,
          consumed,
          activeMs: this.activeMs,
        };
        const result = await this.owner.committer.settle(settle);
        // The run goes on: what was to go with the farewell goes with the next write.
        if (result === "done" && to.move === "wait") this.journal.release();
        if (result === "inbox") this.journal.putBack(rest.entries.slice(0, before), rest.consumed);
        return { stored: result === "done" ? rest.entries.length : 0, result };
      });
    } catch (error) {
      this.#settling = false;
      this.fail(error);
      return "broken";
    }
    this.#settling = false;
    this.#afterSettle(verdict);
    return verdict;
  }

  #afterSettle(verdict: string): void {
    if (verdict === "lost") this.lose();
    else if (verdict === "cancel") {
      this.#mode = "running";
      this.#stop = null;
      this.stop("cancel", "cancelled");
    } else if (verdict === "done" && this.#mode === "releasing") this.#released();
    else if (verdict === "done") this.#over(null);
  }

  #released(): void {
    this.#mode = "released";
    clearTimeout(this.#timeout);
    this.waits.suspend();
    this.owner.onReleased(this);
    if (this.#gate !== null || this.journal.hasMore) this.#nudge();
  }

  #nudge(): void {
    if (this.#nudged) return;
    this.#nudged = true;
    this.owner.nudge(this.runId);
  }

  /** Dropped from memory while it waits: whoever claims it next replays. */
  forget(): void {
    this.#over(null);
  }

  #over(reason: unknown): void {
    if (this.#mode === "over") return;
    this.#mode = "over";
    clearTimeout(this.#timeout);
    this.waits.suspend();
    this.replay.stop();
    this.journal.kill();
    if (reason !== null) this.abort.abort(reason);
    this.owner.onOver(this);
  }

  async #untilIdle(limitMs: number): Promise<void> {
    const deadline = performance.now() + limitMs;
    while (this.#busy > 0 && performance.now() < deadline && this.#mode !== "over") await pause(5);
  }

  #extended(): void {
    this.owner.onLeaseExtended(this);
    this.owner.hint("journal", this.runId);
  }

  #minutes(): number {
    return Math.round((this.program.limits.activeMs ?? 0) / 600) / 100;
  }

  #armTimeout(): void {
    const limitMs = this.program.limits.activeMs;
    if (limitMs === null) return;
    clearTimeout(this.#timeout);
    const leftMs = Math.max(0, limitMs - this.claim.active_ms);
    this.#timeout = setTimeout(() => this.stop("timeout", "run_timeout"), Math.min(leftMs, 2_147_483_647));
  }
}
