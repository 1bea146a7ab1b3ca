// What the routes share: the verbs, the agents known, the open streams, the limits.
import type { Longhaul } from "../runtime/api.ts";
import type { AssistantDirectory } from "./assistants.ts";
import type { ServerLimits, ServerLog } from "./options.ts";
import type { Streams } from "./streams.ts";

export interface Services {
  readonly longhaul: Longhaul;
  readonly assistants: AssistantDirectory;
  readonly streams: Streams;
  readonly limits: ServerLimits;
  readonly log: ServerLog;
  readonly version: string;
}
