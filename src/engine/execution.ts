// One claimed run in memory, from its claim to its farewell: its parts, and where the verbs of step.ts, wait.ts, children.ts and
// record.ts pass. How its code ends is in outcome.ts; why it is stopped and when it may be let go, in stay.ts.
import type { Recorded } from "../domain/entry.ts";
import { fail } from "../domain/errors.ts";
import { encodeValue } from "../domain/value.ts";
import type { Claimed } from "../store/claim.ts";
import { isConnectionLost } from "../store/driver-errors.ts";
import { RunAccount } from "./account.ts";
import { ActiveTime } from "./active-time.ts";
import { Activity } from "./activity.ts";
import type { News } from "./commit.ts";
import type { Farewell } from "./finish.ts";
import { RunJournal } from "./journal.ts";
import { Mailbox } from "./mailbox.ts";
import { endThrown, endWith } from "./outcome.ts";
import { Replay } from "./replay.ts";
import type { OwnerOf, ProgramOf } from "./roles.ts";
import { generationPrefix, KEPT_STATE, Scope, Turns } from "./scope.ts";
import { type Mode, Stay, type StopReason } from "./stay.ts";
import { RunTokens } from "./tokens.ts";
import { Values } from "./values.ts";
import { Waits } from "./waits.ts";
import { WallTime } from "./wall-time.ts";

export type Program = ProgramOf<Execution>;
export type ExecutionOwner = OwnerOf<Execution>;
/** The programs of one build, by name. */
export type Programs = ReadonlyMap<string, Program>;

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
  readonly activity = new Activity(() => this.idle());
  readonly activeTime: ActiveTime;
  epoch: number;
  /** Attached children that were submitted and whose end was not yet received. */
  readonly openChildren: Map<string, string>;
  childrenCount: number;
  /** Kept across `ctx.state.set`, so that a read needs no query. */
  threadState: unknown;
  readonly values: Values;
  /** What the code has so far, encoded; null when it has not said since it was started here. */
  partialOutput: string | null = null;
  #account: RunAccount | null = null;
  readonly wallTime: WallTime;
  /** What its steps write while they run. */
  readonly tokens: RunTokens;
  readonly #stay: Stay;
  #doubted = false;
  /** Something was recorded since the claim. */
  #progressed = false;

  constructor(claim: Claimed, program: Program, entries: readonly Recorded[], owner: ExecutionOwner) {
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
    const turns = new Turns();
    this.journal = new RunJournal(run, owner.committer, {
      onNews: (news, sentMs) => this.#written(news, sentMs),
      onLost: () => this.lose(),
      onBroken: (error) => this.fail(error),
      onTell: () => turns.pass(),
      onCommitted: (seq) => this.#committed(seq),
    });
    this.replay = new Replay(entries, turns, owner.settings.mismatchGraceMs, (problem) => this.mismatch(problem));
    this.journal.restart(this.replay.checkpointSeq);
    this.openChildren = new Map(this.replay.openChildren);
    this.childrenCount = this.replay.childrenBefore;
    this.values = new Values(owner.committer, claim.tenant_id, (error) => this.#unreadable(error));
    this.tokens = new RunTokens(owner.tokens, this);
    this.waits = new Waits(this);
    this.activeTime = new ActiveTime(program.limits.activeMs, () => this.stop("timeout", "run_timeout"));
    this.wallTime = new WallTime(this, {
      onOver: () => this.stop("budget", "budget_exceeded"),
      onUnreadable: (error) => this.#cannotGoOn(error),
    });
    this.mailbox = this.#makeMailbox();
    this.root = new Scope("", null, generationPrefix(this.replay.generation), turns, this.abort.signal);
    this.#stay = new Stay(this);
  }

  get runId(): string {
    return this.claim.run_id;
  }

  get mode(): Mode {
    return this.#stay.mode;
  }

  /** What the run may spend. */
  get account(): RunAccount {
    this.#account ??= new RunAccount(this);
    return this.#account;
  }

  /** False while nothing has asked for the account. */
  get hasAccount(): boolean {
    return this.#account !== null;
  }

  get active(): boolean {
    return this.mode === "running" && !this.stopping;
  }

  get stopping(): boolean {
    return this.#stay.stopping;
  }

  /** Running time since the last claim. */
  get activeMs(): number {
    return this.activeTime.ms;
  }

  /** When the earliest timer of the sleeping run rings, on the database's clock. */
  get wakesAtMs(): number | null {
    return this.#stay.wakesAtMs;
  }

  /** Runs the agent's code to its end, or to wherever it is stopped. Never throws. */
  async start(): Promise<void> {
    this.activeTime.arm(this.claim.active_ms);
    if (this.claim.cancel !== null) {
      this.stop("cancel", this.claim.cancel);
      return;
    }
    if (await this.wallTime.begin()) return;
    this.mailbox.noticed(this.claim.inbox_seq);
    await this.replay.load((hash) => this.values.load(null, hash));
    if (this.threadState === undefined) this.threadState = this.replay.value(`${this.root.prefix}${KEPT_STATE}`)?.value;
    const input = await this.values.load(this.claim.input, this.claim.input_blob);
    let output: unknown;
    try {
      output = await this.program.run(this, input);
    } catch (error) {
      if (!this.stopping) await endThrown(this, error);
      return;
    }
    if (!this.stopping) await endWith(this, output);
  }

  /** Continues a run that was kept warm: same code, next epoch. */
  continueAs(claim: Claimed): void {
    this.epoch = claim.epoch;
    this.activeTime.restart();
    this.journal.continueAs(claim.epoch, claim.journal_seq);
    (this as { claim: Claimed }).claim = claim;
    this.#stay.resume();
    this.#progressed = false;
    this.activeTime.arm(claim.active_ms);
    if (claim.cancel !== null) {
      this.stop("cancel", claim.cancel);
      return;
    }
    const looking = this.wallTime.begin();
    if (looking === undefined) this.#goOn();
    else
      void looking.then((isOver) => {
        if (!isOver && this.active) this.#goOn();
      });
  }

  #goOn(): void {
    this.#stay.open();
    this.mailbox.noticed(this.claim.inbox_seq);
    this.waits.rearm();
    this.idle();
  }

  // --- for the verbs -------------------------------------------------------------------------------------------------

  /**
   * Where every verb passes before it starts something new: a stopped run or a closed branch goes no further, a released one
   * comes back first, and one whose process stood still first makes sure that nobody else has it by now.
   */
  enter(scope: Scope): Promise<void> | undefined {
    if (this.stopping || scope.closed) return NEVER;
    if (this.mode !== "running") return this.#stay.back().then(() => this.enter(scope));
    const assured = this.assured();
    return assured?.then(() => this.enter(scope));
  }

  /** Undefined while it is known that nobody else has the run; else it is asked, and who has lost it never hears. */
  assured(): Promise<void> | undefined {
    const standing = this.owner.standing(this);
    if (standing === "trusted") return undefined;
    if (standing === "doubtful") return this.during(() => this.journal.confirm()).then(() => this.assured());
    this.lose();
    return NEVER;
  }

  /** While something of the run is under way it cannot be let go. */
  during<T>(work: () => Promise<T>, label?: string): Promise<T> {
    return this.activity.during(work, label);
  }

  /** Something the code asked for that has not ended, or null. */
  pending(): string | null {
    return this.activity.label ?? this.root.pending ?? null;
  }

  /** What the code of a stopped run gets instead of a result. */
  never<T>(): Promise<T> {
    return NEVER;
  }

  /** What the code had so far, encoded: said here, or before it was started here. Null when it never said. */
  async partial(): Promise<string | null> {
    const recorded = this.replay.partial;
    if (this.partialOutput !== null || recorded === undefined) return this.partialOutput;
    return encodeValue(await this.values.ofEntry(recorded));
  }

  /** A budget whose time is over and that a person may be asked to raise; null: there is none. */
  get overtime(): string | null {
    return this.wallTime.overtime;
  }

  lookAtTime(): Promise<boolean> {
    return this.wallTime.look();
  }

  closeCalls(): Promise<void> | null {
    return this.#account?.flush() ?? null;
  }

  // --- being told ----------------------------------------------------------------------------------------------------

  hear(news: News): void {
    if (news.cancel !== null) this.stop("cancel", news.cancel);
    else this.mailbox.noticed(news.inboxSeq);
  }

  /** The lease is nearly over and nothing has extended it: ask whether it is still ours, and extend it by that. */
  doubt(): void {
    if (this.#doubted || this.mode !== "running") return;
    this.#doubted = true;
    void this.during(() => this.journal.confirm()).finally(() => {
      this.#doubted = false;
    });
  }

  mismatch(problem: string): void {
    const { code, message, hint } = fail("HISTORY_MISMATCH", { run: this.runId, problem });
    this.owner.log("warn", message, { code, hint, runId: this.runId });
    this.stop("pause", `${code.toLowerCase()}: ${problem}`);
  }

  // --- its stay ------------------------------------------------------------------------------------------------------

  stop(why: StopReason, reason: string, patienceMs = 0): void {
    this.#stay.stop(why, reason, patienceMs);
  }

  lose(): void {
    this.#stay.lose();
  }

  fail(error: unknown): void {
    this.#stay.fail(error);
  }

  forget(): void {
    this.#stay.forget();
  }

  idle(): void {
    this.#stay.idle();
  }

  end(compose: () => Farewell): Promise<void> {
    return this.#stay.end(compose);
  }

  onReleased(): void {
    this.wallTime.leave();
    this.owner.onReleased(this);
  }

  onOver(): void {
    this.wallTime.leave();
    this.#account?.close();
    this.owner.onOver(this);
  }

  // --- inside --------------------------------------------------------------------------------------------------------

  #makeMailbox(): Mailbox {
    const { owner, runId } = this;
    const host = {
      load: (after: number) => owner.loadInbox(runId, after),
      during: <T>(work: () => Promise<T>) => this.during(work),
      onMail: () => this.waits.distribute(),
      onUnreadable: (error: unknown) => owner.log("warn", "the inbox cannot be read now", { runId, error }),
    };
    return new Mailbox(host, 0);
  }

  #cannotGoOn(error: unknown): void {
    if (isConnectionLost(error)) this.lose();
    else this.fail(error);
  }

  #unreadable(error: unknown): Promise<never> {
    this.#cannotGoOn(error);
    return NEVER;
  }

  #written(news: News, sentMs: number | null): void {
    if (sentMs !== null) this.owner.onLeaseExtended(this, sentMs);
    this.hear(news);
  }

  #committed(seq: number): void {
    this.owner.hint("journal", this.runId);
    if (this.#progressed || seq <= this.claim.journal_seq) return;
    this.#progressed = true;
    this.owner.onProgress(this);
  }
}
