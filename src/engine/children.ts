// The verb `spawn`: children are journaled and submitted in one commit, and their ends come as messages.
import type { BudgetDeclaration } from "../domain/budget.ts";
import { budgetRow, strictest } from "../domain/budget-check.ts";
import { KIND, type Recorded } from "../domain/entry.ts";
import { fail } from "../domain/errors.ts";
import { type Failure, fromFailure } from "../domain/failure.ts";
import { hashInput } from "../domain/hash.ts";
import { INLINE_VALUE_BYTES_MAX } from "../domain/limits.ts";
import { childKey } from "../domain/message.ts";
import { isConnectionLost, isRetryable } from "../store/driver-errors.ts";
import type { Append } from "../store/journal.ts";
import { appendWith } from "../store/journal.ts";
import { lockTree, type NewRun, submitRuns, treeSize } from "../store/submit.ts";
import type { Execution } from "./execution.ts";
import { childId } from "./ids.ts";
import { metaOf } from "./replay.ts";
import { type Scope, unlessClosed } from "./scope.ts";

export interface ChildSpec {
  readonly agent: string;
  /** Encoded. */
  readonly input: string;
  readonly queue: string;
  /** Null: its parent's. */
  readonly band: number | null;
  readonly concurrencyKey: string;
  readonly priority: number;
  readonly detached: boolean;
  /** A slice of what its parent may spend; null: all of it. */
  readonly budget: BudgetDeclaration | null;
}

/** What a child's message says. */
interface ChildEnd {
  readonly status: "succeeded" | "failed" | "cancelled";
  readonly reason?: string | null;
  readonly output?: unknown;
  readonly failure?: Failure;
}

/** Submits children; answers their ids. On replay: the ids that were recorded. */
export async function spawnChildren(
  execution: Execution,
  scope: Scope,
  name: string,
  specs: readonly ChildSpec[],
): Promise<string[]> {
  const { key, done } = scope.open(name);
  try {
    const hash = hashInput(JSON.stringify(specs.map((spec) => [spec.agent, spec.input])));
    const recorded = execution.replay.find(key);
    if (recorded !== undefined) return await replayed(execution, scope, recorded, specs, hash);
    const replaying = execution.replay.ready(key);
    if (replaying !== undefined) await replaying;
    const blocked = execution.enter(scope);
    if (blocked !== undefined) await blocked;
    const submitted = execution.during(() => submitChildren(execution, key, specs, hash));
    note(execution, await submitted, specs);
    return await unlessClosed(scope, submitted);
  } finally {
    done();
  }
}

/** Waits for one child's end. Waits of one group wake the run together. */
export async function awaitChild(
  execution: Execution,
  scope: Scope,
  runId: string,
  agent: string,
  group: string | null,
): Promise<unknown> {
  const { key, done } = scope.open(`end of ${runId.slice(-12)}`);
  try {
    const end = (await endOf(execution, scope, key, runId, agent, group)) as ChildEnd;
    if (end.status === "succeeded") return end.output;
    const reason = end.failure?.message ?? end.reason ?? end.status;
    const cause = end.failure === undefined ? undefined : fromFailure(end.failure);
    const code = end.status === "failed" ? "CHILD_FAILED" : "CHILD_CANCELLED";
    const details = { runId, agent, failure: end.failure ?? null, ...("output" in end ? { partial: end.output } : {}) };
    throw fail(code, { run: runId, agent, reason }, { cause, details });
  } finally {
    done();
  }
}

async function endOf(
  execution: Execution,
  scope: Scope,
  key: string,
  runId: string,
  agent: string,
  group: string | null,
): Promise<unknown> {
  if (execution.replay.find(key) !== undefined) {
    return new Promise((resolve) => {
      execution.replay.request(key, async (entry) => {
        const end = await execution.values.ofReceived(entry);
        execution.openChildren.delete(runId);
        if (!scope.closed) resolve(end);
      });
    });
  }
  const replaying = execution.replay.ready(key);
  if (replaying !== undefined) await replaying;
  const blocked = execution.enter(scope);
  if (blocked !== undefined) await blocked;
  return new Promise((resolve) => {
    execution.waits.open({
      key,
      address: childKey(runId),
      scope,
      dueMs: null,
      label: `child ${agent} ${runId}`,
      group,
      approvalId: null,
      resolve: (resolution) => resolve(resolution.by === "message" ? resolution.value : undefined),
    });
  });
}

function replayed(
  execution: Execution,
  scope: Scope,
  recorded: Recorded,
  specs: readonly ChildSpec[],
  hash: string,
): Promise<string[]> {
  return new Promise((resolve) => {
    execution.replay.request(recorded.key ?? "", (entry) => {
      const meta = metaOf(entry);
      if (meta["h"] !== hash) {
        execution.mismatch(
          `the children asked for at ${entry.key} (entry ${entry.seq}) are not the ones that were recorded`,
        );
        return;
      }
      const ids = meta["children"] as string[];
      note(execution, ids, specs);
      if (!scope.closed) resolve(ids);
    });
  });
}

function note(execution: Execution, ids: readonly string[], specs: readonly ChildSpec[]): void {
  execution.childrenCount += ids.length;
  ids.forEach((id, i) => {
    const spec = specs[i];
    if (spec !== undefined && !spec.detached) execution.openChildren.set(id, spec.agent);
  });
}

async function submitChildren(
  execution: Execution,
  key: string,
  specs: readonly ChildSpec[],
  hash: string,
): Promise<string[]> {
  const { limits } = execution.program;
  if (execution.childrenCount + specs.length > limits.children)
    throw fail("CHILDREN_LIMIT", { run: execution.runId, limit: limits.children });
  if (execution.claim.depth + 1 > limits.depth)
    throw fail("DEPTH_LIMIT", { run: execution.runId, limit: limits.depth });
  const ids = specs.map(() => childId(execution.runId));
  const meta = `"h":"${hash}","agent":${JSON.stringify([...new Set(specs.map((s) => s.agent))].join(", "))}`;
  const entry = execution.journal.compose(KIND.spawned, key, `${meta},"children":${JSON.stringify(ids)}`, null);
  const runs = specs.map((spec, i) => newChild(execution, key, ids[i] as string, spec));
  await execution.journal.exclusive(async (first) => {
    const append: Append = { runId: execution.runId, epoch: execution.epoch, first, entries: [entry] };
    await commit(execution, append, runs);
    return { stored: 1, result: undefined };
  });
  for (const id of ids) execution.owner.hint("ready", id);
  // What this run took ahead for itself is the children's too.
  if (execution.hasAccount) await execution.account.giveBack();
  return ids;
}

/** The entry and the runs in one transaction; an unknown outcome is looked up, never guessed. */
async function commit(execution: Execution, append: Append, runs: readonly NewRun[]): Promise<void> {
  const { committer } = execution.owner;
  for (;;) {
    try {
      const verdict = await committer.db.transaction(async (tx) => {
        await lockTree(tx, execution.claim.root_id);
        const limit = execution.program.limits.treeSize;
        if ((await treeSize(tx, execution.claim.root_id)) + runs.length > limit)
          throw fail("TREE_LIMIT", { run: execution.runId, limit });
        const row = await appendWith(tx, committer.workerId, committer.leaseMs, append, {});
        if (row.verdict === "done") await submitRuns(tx, runs);
        return row;
      });
      if (verdict.verdict !== "done") return await lost(execution);
      execution.hear({ cancel: verdict.cancel, inboxSeq: verdict.inbox_seq });
      return;
    } catch (error) {
      if (isRetryable(error)) continue;
      if (!isConnectionLost(error)) throw error;
      const outcome = await committer.outcomeOf(append);
      if (outcome?.verdict === "done") return;
      if (outcome?.verdict === "lost") return await lost(execution);
    }
  }
}

async function lost(execution: Execution): Promise<never> {
  execution.lose();
  return execution.never();
}

function newChild(execution: Execution, key: string, runId: string, spec: ChildSpec): NewRun {
  const { claim, owner } = execution;
  const budget = strictest(owner.programs.get(spec.agent)?.budget ?? null, spec.budget);
  const isLarge = Buffer.byteLength(spec.input) > INLINE_VALUE_BYTES_MAX;
  const apart = isLarge ? execution.journal.apart(spec.input) : undefined;
  return {
    runId,
    rootId: claim.root_id,
    parentId: spec.detached ? null : claim.run_id,
    parentKey: key,
    depth: claim.depth + 1,
    detached: spec.detached,
    forkedFrom: null,
    tenant: claim.tenant_id,
    agent: spec.agent,
    build: claim.build,
    queue: spec.queue,
    band: spec.band ?? claim.band,
    concurrencyKey: spec.concurrencyKey,
    priority: spec.priority,
    threadId: null,
    rejectIfBusy: false,
    idempotencyKey: null,
    requestHash: null,
    input: apart === undefined ? spec.input : null,
    inputBlob: apart?.hash ?? null,
    apart,
    options: "{}",
    metadata: JSON.stringify(claim.metadata),
    runAt: null,
    startBy: null,
    budget: budget === null ? null : budgetRow(budget),
    budgetAbove: claim.budget_id,
  };
}
