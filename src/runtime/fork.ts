// Going on from a journal: a paused run is released, an ended one becomes a new run that keeps what was recorded.
import type { Entry } from "../domain/entry.ts";
import { fail } from "../domain/errors.ts";
import type { Failure } from "../domain/failure.ts";
import type { Run } from "../domain/run.ts";
import { decodeValue, encodeValue } from "../domain/value.ts";
import { newId } from "../engine/ids.ts";
import { resumeRun } from "../store/finish.ts";
import { readEntries } from "../store/journal.ts";
import { untilAnswered } from "../store/patience.ts";
import { readDetached } from "../store/read.ts";
import { forkRun, refusalOf, reviveRun } from "../store/submit.ts";
import { childrenOf, culpritsOf, inherited } from "./inherit.ts";
import type { Installation } from "./installation.ts";
import { turnedAway } from "./submit.ts";

const PAGE = 1_000;
const PATIENCE_MS = 2_000;

/** Answers the id of the run that goes on. */
export async function retryRun(installation: Installation, run: Run, by: string): Promise<string> {
  if (run.status === "paused") {
    if (await resumeRun(installation.db, run.runId, by)) installation.doorbell.ring("ready", run.runId);
    return run.runId;
  }
  if (run.finishedAt === null) return run.runId;
  const runId = newId();
  // Whoever tries a run again has dealt with it: its dead letter, if it has one, goes too.
  const made = await revive(installation, run, runId, await keptByRetry(installation, run), null, false);
  // Dropped since it was looked at.
  if (!made) throw fail("RUN_NOT_FOUND", { run: run.runId });
  return runId;
}

/** Numbers of the entries that a new try keeps: every recorded success. */
export async function keptByRetry(installation: Installation, run: Run): Promise<number[]> {
  const entries = await allEntries(installation, run.runId);
  const outcome = await installation.reads.outcome(run.tenant, run.runId);
  const failure = outcome?.failure ?? null;
  const culprits = failure === null ? new Set<Entry>() : culpritsOf(entries, decodeValue(failure) as Failure);
  return inherited(entries, culprits, await detachedOf(installation, entries));
}

/**
 * A run in place of one that failed, whose dead letter goes. False where the run has been dropped and, with `letterOnly`, where
 * somebody else has dealt with the letter.
 */
export async function revive(
  { db, doorbell }: Installation,
  run: Run,
  runId: string,
  keep: readonly number[],
  input: { readonly text: string; readonly blob: null } | null,
  letterOnly: boolean,
): Promise<boolean> {
  const revived = await admitted(run, () => reviveRun(db, runId, run.runId, keep, input, letterOnly));
  if (revived) doorbell.ring("ready", runId);
  return revived;
}

/** @throws STEP_UNKNOWN, RUN_NOT_FOUND, TENANT_FULL, SUBMIT_RATE */
export async function forkAt(
  installation: Installation,
  run: Run,
  beforeStep: string | null,
  input: unknown,
): Promise<string> {
  const entries = await allEntries(installation, run.runId);
  if (beforeStep === null) return copy(installation, run, [], input);
  const at = entries.find((entry) => entry.key === beforeStep || entry.key === `${beforeStep}#1`);
  if (at === undefined) throw fail("STEP_UNKNOWN", { run: run.runId, step: beforeStep });
  const before = entries.filter((entry) => entry.seq < at.seq);
  return copy(installation, run, inherited(before, new Set(), await detachedOf(installation, before)), input);
}

async function copy(installation: Installation, run: Run, keep: readonly number[], input: unknown): Promise<string> {
  const runId = newId();
  const replaced = input === undefined || input === null ? null : { text: encodeValue(input), blob: null };
  const made = await admitted(run, () => forkRun(installation.db, runId, run.runId, keep, replaced));
  // Dropped since it was looked at.
  if (!made) throw fail("RUN_NOT_FOUND", { run: run.runId });
  installation.doorbell.ring("ready", runId);
  return runId;
}

/** @throws TENANT_FULL, SUBMIT_RATE */
async function admitted<T>(run: Run, work: () => Promise<T>): Promise<T> {
  try {
    return await untilAnswered(work, PATIENCE_MS);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === null) throw error;
    throw turnedAway(run.tenant, refusal.refused, refusal.retry_ms);
  }
}

async function detachedOf({ db }: Installation, entries: readonly Entry[]): Promise<Set<string>> {
  const children = entries.flatMap(childrenOf);
  return new Set(children.length === 0 ? [] : await readDetached(db, children));
}

async function allEntries({ db }: Installation, runId: string): Promise<Entry[]> {
  const all: Entry[] = [];
  for (
    let page = await readEntries(db, runId, 0, PAGE);
    page.length > 0;
    page = await readEntries(db, runId, all.at(-1)?.seq ?? 0, PAGE)
  )
    all.push(...page);
  return all;
}
