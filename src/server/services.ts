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
  /** True where nobody is asked who he is: whoever asks is the operator, and may read the names of all tenants. */
  readonly namesTenants: boolean;
}
