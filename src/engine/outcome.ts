// How a run ends when its code has: what it gave or threw becomes its outcome, unless the journal says that more was to come.
import { isLonghaulError } from "../domain/errors.ts";
import { toFailure } from "../domain/failure.ts";
import { encodeValue } from "../domain/value.ts";
import { type Farewell, failed, succeeded } from "./finish.ts";
import type { RunJournal } from "./journal.ts";
import type { Replay } from "./replay.ts";
import type { Scope } from "./scope.ts";
import { pause } from "./timing.ts";
import type { Waits } from "./waits.ts";

/** What an ending needs of its run. */
export interface EndingRun {
  readonly stopping: boolean;
  readonly replay: Replay;
  readonly journal: RunJournal;
  readonly waits: Waits;
  readonly root: Scope;
  readonly owner: { readonly settings: { readonly mismatchGraceMs: number } };
  enter(scope: Scope): Promise<void> | undefined;
  mismatch(problem: string): void;
  /** What the code had so far, encoded; null when it never said. */
  partial(): Promise<string | null>;
  /** The code has ended and nothing is left to wait for. */
  end(compose: () => Farewell): Promise<void>;
}

export async function endWith(run: EndingRun, output: unknown): Promise<void> {
  run.waits.recallChildren();
  const leftover = await leftoverOf(run);
  if (run.stopping) return;
  if (leftover !== undefined) return run.mismatch(leftover);
  let encoded: string;
  try {
    encoded = encodeValue(output);
  } catch (error) {
    return endThrown(run, error);
  }
  const replaying = run.replay.ready("(end)");
  if (replaying !== undefined) await replaying;
  await run.waits.forChildren();
  await run.enter(run.root);
  await run.end(() => succeeded(run.journal, encoded));
}

export async function endThrown(run: EndingRun, thrown: unknown): Promise<void> {
  // Code that got further before has changed, or has a new bug: mended, it can go on from here.
  const leftover = await leftoverOf(run);
  if (run.stopping) return;
  if (leftover !== undefined)
    return run.mismatch(`${leftover}; it threw ${JSON.stringify(toFailure(thrown).message.slice(0, 200))}`);
  await run.enter(run.root);
  const failure = encodeValue(toFailure(thrown));
  const partial = await run.partial();
  await run.end(() => failed(run.journal, reasonOf(thrown), failure, partial));
}

/** The reason of a failed run: only errors of this catalogue have one, also as a step has recorded them. */
export function reasonOf(thrown: unknown): string | null {
  if (isOverBudget(thrown)) return "budget_exceeded";
  return isLonghaulError(thrown) ? String(thrown.code).toLowerCase() : null;
}

const CAUSES_MAX = 10;

/** Also where what a step recorded, or what a library made of it, is thrown. A child's budget is not the run's own. */
function isOverBudget(thrown: unknown): boolean {
  let error = thrown;
  for (let depth = 0; depth < CAUSES_MAX && error instanceof Error; depth++) {
    if (isLonghaulError(error, "BUDGET_EXCEEDED")) return true;
    if (isLonghaulError(error)) return false;
    // The OpenAI Agents SDK says `error` for the error of a tool.
    error = error.cause ?? (error as { error?: unknown }).error;
  }
  return false;
}

/** What was recorded and is not asked for although the code has ended. Branches that still run get time to ask. */
async function leftoverOf(run: EndingRun): Promise<string | undefined> {
  const deadline = performance.now() + run.owner.settings.mismatchGraceMs;
  while (run.replay.leftover() !== undefined && !run.stopping && performance.now() < deadline) await pause(5);
  return run.replay.leftover();
}
