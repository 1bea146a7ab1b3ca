// Commands that show the line: what waits for whom, and which workers take from it.
import { setTimeout as delay } from "node:timers/promises";
import type { Longhaul, WorkerView } from "../runtime/api.ts";
import type { LoadReport } from "../runtime/load-views.ts";
import type { Context } from "./context.ts";
import { asNotReady, openInstallation, withInstallation } from "./installation.ts";

export interface QueuesInput {
  readonly tenants?: boolean | undefined;
  readonly watch?: boolean | undefined;
}

/** The load; without `tenants` the names of none. */
export type ShownLoad = Omit<LoadReport, "tenants"> & { readonly tenants?: LoadReport["tenants"] };

const WATCH_MS = 1_000;

/** @throws INSTALLATION_NOT_RUNNING, DATABASE_UNAVAILABLE, SCHEMA_NOT_READY */
export async function showQueues(input: QueuesInput, context: Context): Promise<ShownLoad | AsyncIterable<ShownLoad>> {
  if (input.watch === true) return watch(input, context);
  return await withInstallation(context, (_, { longhaul }) => read(longhaul, input));
}

/** Until Ctrl-C, or whoever reads goes away. */
async function* watch(input: QueuesInput, context: Context): AsyncGenerator<ShownLoad> {
  const { longhaul, project, close } = await openInstallation(context);
  try {
    for (;;) {
      yield await read(longhaul, input);
      await delay(WATCH_MS);
    }
  } catch (error) {
    throw asNotReady(error, project.settings.schema);
  } finally {
    await close();
  }
}

async function read(longhaul: Longhaul, { tenants: named }: QueuesInput): Promise<ShownLoad> {
  const { tenants, ...load } = await longhaul.load();
  return named === true ? { ...load, tenants } : load;
}

/** The register keeps stopped workers for a day; who looks at it mostly wants those that carry, or should carry, something. */
export function listWorkers({ all }: { readonly all?: boolean | undefined }, context: Context): Promise<WorkerView[]> {
  return withInstallation(context, async (_, { longhaul }) =>
    (await longhaul.workers()).filter(({ state }) => all === true || state !== "stopped"),
  );
}
