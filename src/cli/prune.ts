// The command that drops what is old, or everything of a tenant, and tells how far it has come.
import { setTimeout as delay } from "node:timers/promises";
import type { Tenant } from "../runtime/api.ts";
import type { Project } from "../runtime/project.ts";
import { type Pruned, prune as pruneRuns, purgeTenant } from "../runtime/prune.ts";
import { keepMs } from "../runtime/retention.ts";
import type { Database } from "../store/database.ts";
import { unfinishedRuns } from "../store/retention.ts";
import type { Context } from "./context.ts";
import { type Feed, feedOf } from "./feed.ts";
import { withInstallation } from "./installation.ts";
import { mistake } from "./mistake.ts";

export interface PruneInput {
  readonly olderThan?: string | undefined;
  readonly dryRun?: boolean | undefined;
  readonly everything?: boolean | undefined;
  readonly cancel?: boolean | undefined;
  readonly yes?: boolean | undefined;
}

/** `tenant` null: of all tenants. */
export type PruneNews =
  | { readonly event: "cancelling"; readonly tenant: string; readonly unfinished: number }
  | ({ readonly event: "progress" | "counted" | "pruned"; readonly tenant: string | null } & Pruned);

const TELL_EVERY_MS = 1_000;
/** Runs that are cancelled at once. */
const CANCELLED_AT_ONCE = 200;
const LOOK_EVERY_MS = 200;

/** @throws COMMAND_INVALID, DURATION_INVALID, TENANT_BUSY, INSTALLATION_NOT_RUNNING, SCHEMA_NOT_READY */
export function prune(input: PruneInput, context: Context): AsyncIterable<PruneNews> {
  return feedOf((feed) =>
    withInstallation(context, async (tenant, { longhaul, project }) => {
      checkInput(input, project);
      const { database } = longhaul;
      if (input.everything === true) {
        const { tenantId } = tenant;
        if (input.cancel === true) await cancelAll(database, tenant, feed);
        return await tell(feed, tenantId, "pruned", purgeTenant(database, tenantId));
      }
      const { retention, retentionFailed } = project.settings;
      const scope = isTenantNamed(project) ? tenant.tenantId : null;
      const dry = input.dryRun === true;
      const finishedMs = keepMs(input.olderThan ?? retention);
      const failedMs = keepMs(input.olderThan ?? retentionFailed);
      await tell(
        feed,
        scope,
        dry ? "counted" : "pruned",
        pruneRuns(database, { tenant: scope, finishedMs, failedMs, dry }),
      );
    }),
  );
}

function checkInput({ olderThan, dryRun, everything, cancel, yes }: PruneInput, project: Project): void {
  if (everything !== true) {
    if (cancel === true || yes === true)
      throw mistake("--cancel and --yes belong to --everything", "Leave them out: unfinished runs are never pruned.");
    return;
  }
  if (!isTenantNamed(project)) throw mistake("--everything names no tenant", "Say whose: --tenant acme.");
  if (olderThan !== undefined || dryRun === true)
    throw mistake("--everything knows no age and no trial", "Leave out --older-than and --dry-run.");
  if (yes !== true) {
    const { tenant } = project.settings;
    throw mistake(
      `--everything drops all runs, threads and values of ${tenant} for good`,
      "Add --yes if that is what you want.",
    );
  }
}

/** A tenant that is only the default is not meant: pruning is about the whole installation. */
function isTenantNamed({ origins }: Project): boolean {
  return origins.tenant.source !== "default";
}

async function tell(
  feed: Feed<PruneNews>,
  tenant: string | null,
  event: "counted" | "pruned",
  progress: AsyncIterable<Pruned>,
): Promise<void> {
  let last: Pruned = { trees: 0, runs: 0, entries: 0 };
  let toldMs = performance.now();
  for await (last of progress) {
    if (performance.now() - toldMs < TELL_EVERY_MS) continue;
    toldMs = performance.now();
    feed.push({ event: "progress", tenant, ...last });
  }
  feed.push({ event, tenant, ...last });
}

/** Until none is left: a running one ends when its worker hears of it, which takes workers that are alive. */
async function cancelAll(db: Database, tenant: Tenant, feed: Feed<PruneNews>): Promise<void> {
  const asked = new Set<string>();
  for (;;) {
    const runs = await unfinishedRuns(db, tenant.tenantId, 100_000);
    if (runs.length === 0) return;
    feed.push({ event: "cancelling", tenant: tenant.tenantId, unfinished: runs.length });
    const fresh = runs.filter((run) => !asked.has(run));
    for (const run of fresh) asked.add(run);
    for (let from = 0; from < fresh.length; from += CANCELLED_AT_ONCE)
      await Promise.all(
        fresh.slice(from, from + CANCELLED_AT_ONCE).map((run) => tenant.cancel(run, "its tenant is dropped")),
      );
    if (fresh.length === 0) await delay(LOOK_EVERY_MS);
  }
}
