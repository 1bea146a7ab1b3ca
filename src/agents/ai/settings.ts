// `ctx.ai`: what the AI SDK's functions need of a run besides its models and tools.
import { createHash } from "node:crypto";
import type { AiHost } from "./host.ts";
import type { AiSettings } from "./options.ts";

/** Asked for once per call, in the order of the code: each call has a sequence of ids of its own, the same in every replay. */
export function aiSettings({ execution, scope }: AiHost): AiSettings {
  const seed = `${execution.runId}/${scope.key("ai")}`;
  let count = 0;
  return {
    abortSignal: scope.abort,
    _internal: {
      generateId: () => {
        count += 1;
        return createHash("sha256").update(`${seed}/${count}`).digest("base64url").slice(0, 20);
      },
    },
  };
}
