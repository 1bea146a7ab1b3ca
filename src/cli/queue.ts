// Commands that show the line: what waits for whom, and which workers take from it.
import type { QueueView, WorkerView } from "../runtime/api.ts";
import type { Context } from "./context.ts";
import { withInstallation } from "./installation.ts";

export function listQueues(_input: object, context: Context): Promise<QueueView[]> {
  return withInstallation(context, (_, { longhaul }) => longhaul.queues());
}

export function listWorkers(_input: object, context: Context): Promise<WorkerView[]> {
  return withInstallation(context, (_, { longhaul }) => longhaul.workers());
}
