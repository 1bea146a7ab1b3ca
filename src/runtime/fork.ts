// Going on from a journal: a paused run is released, an ended one becomes a new run that keeps what was recorded.
import { type Entry, KIND } from "../domain/entry.ts";
import { fail } from "../domain/errors.ts";
import type { Run } from "../domain/run.ts";
import { encodeValue } from "../domain/value.ts";
import { untilAnswered } from "../engine/commit.ts";
import { newId } from "../engine/ids.ts";
import { metaOf } from "../engine/replay.ts";
import { resumeRun } from "../store/finish.ts";
import { readEntries } from "../store/journal.ts";
import { forkRun } from "../store/submit.ts";
import type { Installation } from "./installation.ts";

const PAGE = 1_000;
const PATIENCE_MS = 2_000;

/** Answers the id of the run that goes on. */
export async function retryRun(installation: Installation, run: Run, by: string): Promise<string> {
  if (run.status === "paused") {
    if (await resumeRun(installation.db, run.runId, by)) installation.doorbell.ring("ready", run.runId);
    return run.runId;
  }
  if (run.finishedAt === null) return run.runId;
  const entries = await allEntries(installation, run.runId);
  return copy(installation, run, keepSuccesses(entries), null);
}

/** @throws STEP_UNKNOWN */
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
  return copy(installation, run, keepSuccesses(entries.filter((entry) => entry.seq < at.seq)), input);
}

async function copy(installation: Installation, run: Run, keep: readonly number[], input: unknown): Promise<string> {
  const runId = newId();
  const replaced = input === undefined || input === null ? null : { text: encodeValue(input), blob: null };
  await untilAnswered(() => forkRun(installation.db, runId, run.runId, keep, replaced), PATIENCE_MS);
  installation.doorbell.ring("ready", runId);
  return runId;
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

/**
 * What a new run may inherit: outcomes that succeeded, values, waits that were answered and children that had ended. A failure, an
 * unanswered question or a child under way belongs to the old run; the new one asks anew, with ids of its own.
 */
function keepSuccesses(entries: readonly Entry[]): number[] {
  const ended = new Set(entries.filter((e) => e.kind === KIND.received).map((e) => e.key));
  const endedChildren = new Set([...ended].flatMap((key) => /end of ([0-9a-f]{12})/.exec(key ?? "")?.[1] ?? []));
  return entries.filter((entry) => inherits(entry, ended, endedChildren)).map((entry) => entry.seq);
}

function inherits(entry: Entry, ended: ReadonlySet<string | null>, endedChildren: ReadonlySet<string>): boolean {
  switch (entry.kind) {
    case KIND.step:
      return metaOf(entry)["f"] !== true;
    case KIND.wait:
      return ended.has(entry.key);
    case KIND.received: {
      const status =
        (metaOf(entry)["m"] as { status?: string } | undefined)?.status ??
        (metaOf(entry)["v"] as { status?: string } | undefined)?.status;
      return !(entry.key ?? "").includes("end of ") || status === "succeeded";
    }
    case KIND.spawned:
      return (metaOf(entry)["children"] as string[]).every((id) => endedChildren.has(id.slice(-12)));
    case KIND.value:
    case KIND.checkpoint:
    case KIND.emit:
    case KIND.state:
      return true;
    default:
      return false;
  }
}
