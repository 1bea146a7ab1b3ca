// Everything the demo says, as data: one teller makes lines for people of it, another one JSON.
import type { Citation } from "./model-contract.ts";

/** A worker process as the tale knows it: a letter, and the process id for whoever wants to look. */
export interface Who {
  readonly name: string;
  readonly pid: number;
}

/** A promise, whether it held in this run, and what that is read from. */
export interface Verdict {
  readonly promise: string;
  readonly kept: boolean;
  readonly evidence: string;
}

/** What one source says, and whether that is as it should be. */
export interface Proof {
  readonly by: "journal" | "witness" | "stream";
  readonly says: string;
  readonly holds: boolean;
}

/** What became of the runs of a killed worker. */
export interface KillRow {
  readonly worker: Who;
  readonly atMs: number;
  /** Runs it held, step bodies that it had in hand, and when the first and the last of its runs went on elsewhere. */
  readonly runs: number;
  readonly inHand: number;
  readonly firstMs: number | null;
  readonly lastMs: number | null;
}

export interface SceneTable {
  readonly runs: number;
  readonly succeeded: number;
  readonly stepsRecorded: number;
  readonly bodiesBegun: number;
  readonly bodiesCutOff: number;
  readonly reExecuted: number;
  readonly takeovers: number;
  readonly takeoverMs: { readonly median: number; readonly p95: number; readonly slowest: number } | null;
  readonly triedAlone: number;
  readonly seconds: number;
  readonly kills: readonly KillRow[];
}

export type Tale =
  | {
      readonly event: "welcome";
      readonly question: string;
      readonly model: string;
      readonly runs: number;
      readonly database: string;
      readonly stepPauseMs: number;
    }
  | { readonly event: "preparing"; readonly what: string }
  | { readonly event: "prepared"; readonly what: string; readonly detail: string; readonly seconds: number }
  | { readonly event: "indexing"; readonly passages: number; readonly pages: number }
  | {
      readonly event: "processes";
      readonly database: number | null;
      readonly witness: string;
      readonly workerLog: string;
    }
  | { readonly event: "worker_ready"; readonly worker: Who; readonly seconds: number }
  | { readonly event: "worker_died"; readonly worker: Who; readonly end: string }
  | { readonly event: "scene"; readonly number: number; readonly title: string; readonly about: readonly string[] }
  | { readonly event: "submitted"; readonly runId: string; readonly question: string; readonly follow: string }
  | { readonly event: "step_began"; readonly worker: Who; readonly step: string; readonly again: boolean }
  | {
      readonly event: "step";
      readonly worker: Who;
      readonly step: string;
      readonly durationMs: number;
      readonly detail: string;
      readonly failed: boolean;
      /** How often its body began, the last time included. */
      readonly bodies: number;
    }
  | { readonly event: "kill"; readonly worker: Who; readonly step: string | null; readonly inHand: number }
  | {
      readonly event: "takeover";
      readonly from: Who;
      readonly by: Who;
      readonly afterMs: number;
      readonly steps: number;
      /** Null when the worker did not live to tell. */
      readonly queries: number | null;
    }
  | { readonly event: "answer"; readonly text: string; readonly citations: readonly Citation[]; readonly model: string }
  | { readonly event: "proof"; readonly proofs: readonly Proof[] }
  | {
      readonly event: "progress";
      readonly finished: number;
      readonly runs: number;
      readonly bodies: number;
      readonly killed: number;
    }
  | { readonly event: "table"; readonly table: SceneTable }
  | {
      readonly event: "summary";
      readonly verdicts: readonly Verdict[];
      readonly seconds: number;
      readonly next: readonly { readonly command: string; readonly says: string }[];
    }
  | { readonly event: "stopping"; readonly signal: string }
  | { readonly event: "failed"; readonly message: string; readonly hint: string | null };

/** Why the demo cannot go on, and what to do about it. */
export class DemoError extends Error {
  override readonly name = "DemoError";
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

export type Tell = (tale: Tale) => void;

export interface Teller {
  readonly tell: Tell;
  /** Leaves the terminal as it was. */
  end(): void;
}
