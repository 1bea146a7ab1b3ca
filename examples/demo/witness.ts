// The witness: a file outside of the database in which every step body writes down that it began and that it ended.
import { appendFileSync, closeSync, openSync, readFileSync, readSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { Ctx, StepInfo } from "../../src/index.ts";

/** One line. It goes straight to the file, so that a `kill -9` a moment later cannot take it back. */
export interface WitnessLine {
  readonly what: "began" | "ended";
  readonly runId: string;
  readonly step: string;
  readonly pid: number;
  /** Milliseconds since 1970 by the clock of the worker's machine. */
  readonly atMs: number;
}

/** Names the file; without it (outside of the demo) nobody watches. */
export const WITNESS_FILE = "LONGHAUL_DEMO_WITNESS";

type Body<T> = (step: StepInfo) => Promise<T> | T;

/** Wraps the bodies of a run's steps. A run submitted with `pauseMs` in its metadata does each step that much slower. */
export function witnessed(ctx: Pick<Ctx, "runId" | "metadata">): <T>(body: Body<T>) => Body<T> {
  const file = process.env[WITNESS_FILE];
  const { pauseMs } = ctx.metadata;
  return (body) => async (step) => {
    const key = step.idempotencyKey.slice(ctx.runId.length + 1);
    write(file, "began", ctx.runId, key);
    // Nothing but a pause that people can watch, and that a kill can land in.
    if (typeof pauseMs === "number") await pause(pauseMs, undefined, { signal: step.abort });
    const value = await body(step);
    write(file, "ended", ctx.runId, key);
    return value;
  };
}

function write(file: string | undefined, what: WitnessLine["what"], runId: string, step: string): void {
  if (file === undefined) return;
  const line: WitnessLine = { what, runId, step, pid: process.pid, atMs: Date.now() };
  // Appended in one write, so that lines of several processes never mix.
  appendFileSync(file, `${JSON.stringify(line)}\n`);
}

export function readWitness(file: string): WitnessLine[] {
  return linesOf(readFileSync(file, "utf8"));
}

export interface Watching {
  stop(): void;
}

const LOOK_MS = 15;

/** Tells every new line soon after it was written. */
export function watchWitness(file: string, onLine: (line: WitnessLine) => void): Watching {
  const handle = openSync(file, "a+");
  const buffer = Buffer.alloc(64 * 1024);
  let rest = "";
  const look = (): void => {
    for (let read = readSync(handle, buffer); read > 0; read = readSync(handle, buffer)) {
      rest += buffer.toString("utf8", 0, read);
    }
    const end = rest.lastIndexOf("\n") + 1;
    const complete = rest.slice(0, end);
    rest = rest.slice(end);
    for (const line of linesOf(complete)) onLine(line);
  };
  const timer = setInterval(look, LOOK_MS);
  return {
    stop: () => {
      clearInterval(timer);
      closeSync(handle);
    },
  };
}

function linesOf(text: string): WitnessLine[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as WitnessLine);
}
