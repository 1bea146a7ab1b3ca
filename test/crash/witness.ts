// The outside witness: a file to which every step's body writes one line before it does anything, whatever becomes of it.
import { appendFileSync, existsSync, readFileSync } from "node:fs";

export interface Start {
  /** Run and key of the step. */
  readonly runId: string;
  readonly key: string;
  /** On this machine's clock, which is the database's clock too. */
  readonly atMs: number;
  readonly pid: number;
}

/** Writes the line; appends of one line are atomic. */
export function witness(file: string, step: string, atMs = Date.now()): void {
  const slash = step.indexOf("/");
  const start: Start = { runId: step.slice(0, slash), key: step.slice(slash + 1), atMs, pid: process.pid };
  appendFileSync(file, `${JSON.stringify(start)}\n`);
}

/** What a model tells: it does not know the key of the step that asks it, but which question of the run it is, from 1. */
export function modelStep(runId: string, nth: number): string {
  return `${runId}/model, question ${nth}`;
}

export function readStarts(file: string): Start[] {
  return lines(file).filter((line): line is Start => "key" in (line as object));
}

/** A submit that the client knows to be accepted. */
export interface Ack {
  readonly ack: string;
  readonly runId: string;
}

export function acknowledge(file: string, ack: Ack): void {
  appendFileSync(file, `${JSON.stringify(ack)}\n`);
}

export function readAcks(file: string): Ack[] {
  return lines(file).filter((line): line is Ack => "ack" in (line as object));
}

function lines(file: string): unknown[] {
  if (!existsSync(file)) return [];
  // A killed process can leave no half line: one write is one append.
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);
}
