// Commands on dead letters: one by one, or those with something in common, with a line for each as it goes.
import { fail } from "../domain/errors.ts";
import type { Tenant } from "../runtime/api.ts";
import type { DeadFilter, DeadLetter, DeadNews } from "../runtime/limits-api.ts";
import type { Context } from "./context.ts";
import { feedOf } from "./feed.ts";
import { withInstallation } from "./installation.ts";
import { mistake } from "./mistake.ts";
import { momentOf } from "./moment.ts";
import { agentNamed, type Submitted, whoami } from "./submit.ts";

interface FilterFlags {
  readonly agent?: string | undefined;
  readonly queue?: string | undefined;
  readonly code?: string | undefined;
  readonly since?: string | undefined;
}

export interface ManyInput extends FilterFlags {
  readonly run?: string | undefined;
  readonly all?: boolean | undefined;
  readonly limit?: number | undefined;
}

/** One letter, and at the end how many there were. */
export type DeadProgress =
  | DeadNews
  | { readonly did: "done"; readonly dealtWith: number; readonly gone: number; readonly failed: number };

export function listDead(input: FilterFlags & { limit?: number | undefined }, context: Context): Promise<DeadLetter[]> {
  const filter = { ...filterOf(input), limit: input.limit };
  return withInstallation(context, (tenant) => tenant.deadLetters.list(filter));
}

/** @throws DEAD_LETTER_NOT_FOUND */
export function retryDead(
  input: ManyInput & { readonly by?: string | undefined },
  context: Context,
): AsyncIterable<DeadProgress> {
  const by = input.by ?? whoami();
  return deal(input, context, {
    one: async ({ deadLetters }, runId) => {
      const { runId: newRunId } = await deadLetters.retry(runId, { by });
      return { runId, did: "retried", newRunId, error: null };
    },
    many: ({ deadLetters }, filter) => deadLetters.retryAll(filter, { by, limit: input.limit }),
  });
}

/** @throws DEAD_LETTER_NOT_FOUND */
export function discardDead(input: ManyInput, context: Context): AsyncIterable<DeadProgress> {
  return deal(input, context, {
    one: async ({ deadLetters }, runId) => {
      await deadLetters.discard(runId);
      return { runId, did: "discarded", newRunId: null, error: null };
    },
    many: ({ deadLetters }, filter) => deadLetters.discardAll(filter, { limit: input.limit }),
  });
}

/** @throws RUN_NOT_FOUND, DEAD_LETTER_NOT_FOUND, INPUT_INVALID */
export function editDead(input: { run: string; input?: unknown }, context: Context): Promise<Submitted> {
  if (input.input === undefined) throw mistake("There is no new input", 'Give one: --input \'{"question":"Why?"}\'.');
  return withInstallation(context, async (tenant, installation) => {
    const run = await tenant.get(input.run);
    if (run === null) throw fail("RUN_NOT_FOUND", { run: input.run.slice(0, 100) });
    const agent = await agentNamed(run.agent, installation);
    const { runId, threadId, existing } = await tenant.deadLetters.edit(input.run, input.input, { agent });
    return { runId, threadId, existing };
  });
}

interface Dealing {
  readonly one: (tenant: Tenant, runId: string) => Promise<DeadNews>;
  readonly many: (tenant: Tenant, filter: DeadFilter) => AsyncIterable<DeadNews>;
}

function deal(input: ManyInput, context: Context, { one, many }: Dealing): AsyncIterable<DeadProgress> {
  const { run } = input;
  const filter = filterOf(input);
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  if (run !== undefined && (isFiltered || input.all === true))
    throw mistake("A run and flags that name several do not go together", "Give one or the other.");
  if (run === undefined && !isFiltered && input.all !== true)
    throw mistake(
      "It is not said which runs are meant",
      "Name a run, or some of --agent, --queue, --code, --since, or --all.",
    );
  return feedOf(async (feed) => {
    const count = { retried: 0, discarded: 0, gone: 0, failed: 0 };
    await withInstallation(context, async (tenant) => {
      if (run !== undefined) {
        const news = await one(tenant, run);
        count[news.did] += 1;
        return feed.push(news);
      }
      for await (const news of many(tenant, filter)) {
        count[news.did] += 1;
        feed.push(news);
      }
    });
    const { retried, discarded, gone, failed } = count;
    feed.push({ did: "done", dealtWith: retried + discarded, gone, failed });
  });
}

function filterOf({ agent, queue, code, since }: FilterFlags): DeadFilter {
  return { agent, queue, code, since: since === undefined ? undefined : momentOf(since) };
}
