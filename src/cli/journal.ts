// Commands that read what was recorded: the list of runs, one run in full, and why a run does not move.
import { fail } from "../domain/errors.ts";
import type { Run, RunStatus } from "../domain/run.ts";
import type { ListRuns, RunDetail, Why } from "../runtime/api.ts";
import type { Context } from "./context.ts";
import { withInstallation } from "./installation.ts";
import { jsonObject } from "./mistake.ts";

export interface ListInput {
  readonly status?: readonly RunStatus[] | undefined;
  readonly agent?: string | undefined;
  readonly thread?: string | undefined;
  readonly parent?: string | undefined;
  readonly metadata?: unknown;
  readonly limit?: number | undefined;
  readonly before?: string | undefined;
}

/** Newest first. */
export async function listRuns(input: ListInput, context: Context): Promise<Run[]> {
  const { status, agent, thread: threadId, parent: parentId, limit, before } = input;
  const metadata = jsonObject("--metadata", input.metadata);
  const given = { status, agent, threadId, parentId, metadata, limit, before };
  const filter = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as ListRuns;
  return await withInstallation(context, (tenant) => tenant.list(filter));
}

/** @throws RUN_NOT_FOUND */
export function showRun(input: { run: string }, context: Context): Promise<RunDetail> {
  return withInstallation(context, async (tenant) => {
    const detail = await tenant.inspect(input.run);
    if (detail === null) throw fail("RUN_NOT_FOUND", { run: input.run });
    return detail;
  });
}

/** @throws RUN_NOT_FOUND */
export function explainRun(input: { run: string }, context: Context): Promise<Why> {
  return withInstallation(context, (tenant) => tenant.why(input.run));
}
