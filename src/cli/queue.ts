// Commands that show the line: what waits for whom, and which workers take from it.
import type { QueueView, WorkerView } from "../runtime/api.ts";
import type { Context } from "./context.ts";
import { withInstallation } from "./installation.ts";

export function listQueues(_input: object, context: Context): Promise<QueueView[]> {
  return withInstallation(context, (_, { longhaul }) => longhaul.queues());
}

/** The register keeps stopped workers for a day; who looks at it mostly wants those that carry, or should carry, something. */
export function listWorkers({ all }: { readonly all?: boolean | undefined }, context: Context): Promise<WorkerView[]> {
  return withInstallation(context, async (_, { longhaul }) =>
    (await longhaul.workers()).filter(({ state }) => all === true || state !== "stopped"),
  );
}
