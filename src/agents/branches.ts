// Parallel work: branches of one run, each in a scope of its own, and children one per item.
import { fail } from "../domain/errors.ts";
import { awaitChild, spawnChildren } from "../engine/children.ts";
import type { Execution } from "../engine/execution.ts";
import type { Scope } from "../engine/scope.ts";
import { childSpec } from "./child.ts";
import type { AnyAgent, Ctx, MapOptions } from "./ctx.ts";

type Branches = Record<string, (ctx: Ctx) => unknown>;

/** Named branches; fails with the first that fails, and the others are stopped then. */
export async function allBranches(
  scope: Scope,
  branches: Branches,
  contextIn: (scope: Scope) => Ctx,
): Promise<Record<string, unknown>> {
  const { segment, done } = scope.open("all");
  const scopes = Object.keys(branches).map((name) => scope.child(`${segment}.${escapeBranch(name)}`));
  try {
    const values = await Promise.all(
      Object.values(branches).map(async (branch, i) => branch(contextIn(scopes[i] as Scope))),
    );
    return Object.fromEntries(Object.keys(branches).map((name, i) => [name, values[i]]));
  } catch (error) {
    for (const s of scopes) s.close();
    throw error;
  } finally {
    done();
  }
}

/** The first branch to settle, in the order of the journal; the others are stopped. */
export async function raceBranches(
  scope: Scope,
  branches: Branches,
  contextIn: (scope: Scope) => Ctx,
): Promise<{ winner: string; value: unknown }> {
  const names = Object.keys(branches);
  if (names.length === 0) throw fail("RACE_EMPTY");
  const { segment, done } = scope.open("race");
  const scopes = names.map((name) => scope.child(`${segment}.${escapeBranch(name)}`));
  try {
    return await Promise.race(
      Object.values(branches).map(async (branch, i) => ({
        winner: names[i] as string,
        value: await branch(contextIn(scopes[i] as Scope)),
      })),
    );
  } finally {
    for (const s of scopes) s.close();
    done();
  }
}

/** One branch per item; results in the order of the items. */
export async function mapBranches(
  scope: Scope,
  name: string,
  items: readonly unknown[],
  branch: (scope: Scope, item: unknown, index: number) => unknown,
  options: MapOptions,
): Promise<unknown[]> {
  const { segment, done } = scope.open(name);
  const scopes = items.map((_, i) => scope.child(`${segment}[${i}]`));
  try {
    return await bounded(items, options.concurrency, async (item, i) => branch(scopes[i] as Scope, item, i));
  } catch (error) {
    for (const s of scopes) s.close();
    throw error;
  } finally {
    done();
  }
}

/** One child per item: submitted together, and the parent wakes once, when the last has ended or one has failed. */
export async function mapAgents(
  execution: Execution,
  scope: Scope,
  name: string,
  items: readonly unknown[],
  agent: AnyAgent,
  options: MapOptions,
): Promise<unknown[]> {
  if (items.length === 0) return [];
  const { segment, done } = scope.open(name);
  const inner = scope.child(segment);
  let ids: string[] = [];
  try {
    const specs = await Promise.all(items.map((item) => childSpec(agent, item, {})));
    if (options.concurrency !== undefined && options.concurrency < items.length) {
      return await bounded(specs, options.concurrency, async (spec, i) => {
        const branch = inner.child(`[${i}]`);
        const [runId] = await spawnChildren(execution, branch, "spawn", [spec]);
        return awaitChild(execution, branch, runId as string, agent.name, null);
      });
    }
    ids = await spawnChildren(execution, inner, "spawn", specs);
    return await Promise.all(ids.map((runId) => awaitChild(execution, inner, runId, agent.name, inner.path)));
  } catch (error) {
    inner.close();
    // Nobody waits for the others any more; a replay comes by here again, so that none is forgotten.
    for (const runId of ids) if (execution.openChildren.has(runId)) execution.owner.cancelChild(runId);
    throw error;
  } finally {
    done();
  }
}

/** At most `limit` at a time, started in order. */
export async function bounded<T, R>(
  items: readonly T[],
  limit: number | undefined,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  if (limit === undefined || limit >= items.length) return Promise.all(items.map(work));
  if (!Number.isInteger(limit) || limit < 1) throw fail("CONCURRENCY_INVALID", { value: String(limit) });
  const results: R[] = new Array(items.length);
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let i = next++; i < items.length; i = next++) results[i] = await work(items[i] as T, i);
  };
  await Promise.all(Array.from({ length: limit }, lane));
  return results;
}

function escapeBranch(name: string): string {
  return name.replace(/[%/#@.]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
}
