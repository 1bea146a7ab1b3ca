// What a new run inherits from the journal of another: everything that is settled and still true, and nothing that belongs to the
// old run alone, such as an unanswered question or a child under way.
import { type Entry, KIND } from "../domain/entry.ts";
import type { Failure } from "../domain/failure.ts";
import { metaOf } from "../engine/replay.ts";

/**
 * Numbers of the entries to copy, in order.
 *
 * @param culprits Entries whose failure is not to be inherited: what failed there is tried again.
 * @param detached Children that go on without their parent, and therefore are not started again.
 */
export function inherited(
  entries: readonly Entry[],
  culprits: ReadonlySet<Entry>,
  detached: ReadonlySet<string>,
): number[] {
  const received = entries.filter((entry) => entry.kind === KIND.received && !culprits.has(entry));
  const answered = new Set(received.map((entry) => entry.key));
  const ended = new Set(received.flatMap((entry) => childSuffix(entry) ?? []));
  const spawns = entries.filter((entry) => entry.kind === KIND.spawned);
  const complete = spawns.filter((spawn) => childrenOf(spawn).every((id) => detached.has(id) || ended.has(suffix(id))));
  const kept = new Set(complete.flatMap(childrenOf).map(suffix));
  const keeps = (entry: Entry): boolean => {
    const child = childSuffix(entry);
    switch (entry.kind) {
      case KIND.step:
        return !culprits.has(entry);
      case KIND.wait:
        return answered.has(entry.key);
      case KIND.received:
        return !culprits.has(entry) && (child === null || kept.has(child));
      case KIND.spawned:
        return complete.includes(entry);
      case KIND.value:
      case KIND.checkpoint:
      case KIND.emit:
      case KIND.state:
      case KIND.message:
        return true;
      default:
        return false;
    }
  };
  return entries.filter(keeps).map((entry) => entry.seq);
}

/**
 * The recorded failures that made a run fail: those that its own failure is, or has as a cause. A failure that the code caught
 * stays what it was. When the code has made an error of its own out of them, the failures after which nothing succeeded.
 */
export function culpritsOf(entries: readonly Entry[], outcome: Failure): Set<Entry> {
  const failed = entries.filter(hasFailed);
  const culprits = new Set<Entry>();
  for (const part of partsOf(outcome).reverse()) {
    // The last of equal ones: the earlier were caught, or the code would not have come so far.
    const culprit = failed.findLast((entry) => !culprits.has(entry) && isFailureOf(entry, part));
    if (culprit !== undefined) culprits.add(culprit);
  }
  if (culprits.size > 0) return culprits;
  const lastSuccess = entries.findLast((entry) => entry.kind === KIND.step && !hasFailed(entry))?.seq ?? 0;
  return new Set(failed.filter((entry) => entry.seq > lastSuccess));
}

/** Children whose rows tell whether they are detached. */
export function childrenOf(entry: Entry): string[] {
  return entry.kind === KIND.spawned ? (metaOf(entry)["children"] as string[]) : [];
}

function hasFailed(entry: Entry): boolean {
  if (entry.kind === KIND.step) return metaOf(entry)["f"] === true;
  return childSuffix(entry) !== null && endOf(entry).status !== "succeeded";
}

function isFailureOf(entry: Entry, failure: Failure): boolean {
  const child = childSuffix(entry);
  if (child !== null) return failure.message.includes(child) && /^CHILD_(FAILED|CANCELLED)$/.test(String(failure.code));
  const recorded = metaOf(entry)["v"] as Failure | undefined;
  return recorded?.name === failure.name && recorded.message === failure.message && recorded.stack === failure.stack;
}

/** A failure with its causes and parts. */
function partsOf(failure: Failure): Failure[] {
  const parts = [...(failure.errors ?? []), ...(failure.cause === undefined ? [] : [failure.cause])];
  return [failure, ...parts.flatMap(partsOf)];
}

/** How a child ended, as its parent heard it; a large output lies apart. */
function endOf(entry: Entry): { readonly status?: string } {
  const meta = metaOf(entry);
  return (meta["m"] ?? meta["v"] ?? {}) as { status?: string };
}

const CHILD_KEY = /(?:^|\/)(?:end of |\(end\) )([0-9a-f]{12})(?:#\d+)?$/;

/** The last digits of the child whose end this entry is, or null. */
function childSuffix(entry: Entry): string | null {
  if (entry.kind !== KIND.received) return null;
  return CHILD_KEY.exec(entry.key ?? "")?.[1] ?? null;
}

const suffix = (runId: string): string => runId.slice(-12);
