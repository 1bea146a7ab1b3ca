// Who an execution deals with: the program it runs, and the worker that owns it. `Run` stands for the execution itself.
import type { BudgetDeclaration } from "../domain/budget.ts";
import type { Message } from "../domain/message.ts";
import type { Committer } from "./commit.ts";
import type { DatabaseClock } from "./timing.ts";
import type { LiveTokens } from "./tokens.ts";

export interface ProgramLimits {
  readonly children: number;
  readonly depth: number;
  readonly treeSize: number;
  /** Null: unlimited. */
  readonly activeMs: number | null;
  readonly entries: number;
}

/** An agent as the engine runs it: something with a name and limits. */
export interface ProgramOf<Run> {
  readonly name: string;
  readonly limits: ProgramLimits;
  /** What each of its runs may spend, at most; null: whatever the budgets above allow. */
  readonly budget: BudgetDeclaration | null;
  run(execution: Run, input: unknown): Promise<unknown>;
}

export interface ExecutionSettings {
  /** Timers that ring within this time are waited for in place. */
  readonly holdMs: number;
  /** How long a cancelled or timed-out step may take to hear of it. */
  readonly graceMs: number;
  /** How long the code may do other things before a recorded step that it does not ask for counts as a mismatch. */
  readonly mismatchGraceMs: number;
}

export type Standing = "trusted" | "doubtful" | "gone";

/** What the worker gives to a run that it executes, and wants to hear from it. */
export interface OwnerOf<Run> {
  readonly committer: Committer;
  readonly clock: DatabaseClock;
  readonly tokens: LiveTokens;
  readonly settings: ExecutionSettings;
  /** The programs of its build, by name. */
  readonly programs: ReadonlyMap<string, { readonly budget: BudgetDeclaration | null }>;
  readonly log: (level: "debug" | "info" | "warn" | "error", message: string, fields?: Record<string, unknown>) => void;
  /** The run waits; its live function may be kept warm. */
  onReleased(execution: Run): void;
  /** The run is no longer this worker's business. */
  onOver(execution: Run): void;
  /** The run has recorded something new, for the first time since its claim. */
  onProgress(execution: Run): void;
  /** A write that was sent at this moment has extended the run's lease. */
  onLeaseExtended(execution: Run, sentMs: number): void;
  /** Whether the run's lease can be relied on: while it is trusted, whatever starts now does not happen twice. */
  standing(execution: Run): Standing;
  /** Entries were committed, messages sent, or runs made claimable: whoever listens may look. */
  hint(topic: "journal" | "ready" | "inbox" | "finished", runId: string): void;
  /** The code of a released run asks for something: put it back into the queue. */
  nudge(runId: string): void;
  cancelChild(runId: string): void;
  loadInbox(runId: string, after: number): Promise<Message[]>;
}
