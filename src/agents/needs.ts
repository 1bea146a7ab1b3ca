// What a run will need of its model's limits: it begins when there is room for all of it, and holds no slot until then.
import { fail } from "../domain/errors.ts";
import { Postponed } from "../domain/postponed.ts";
import { resolveRetry } from "../domain/retry.ts";
import type { RunNeeds } from "../domain/run-needs.ts";
import type { Execution } from "../engine/execution.ts";
import { performStep } from "../engine/step.ts";
import type { ModelGateway } from "./ai/host.ts";

/** When a limit does not say when it has room. */
const LOOK_AGAIN_MS = 10_000;

/** @throws AGENT_INVALID */
export function checkNeeds(agent: string, needs: RunNeeds | undefined): RunNeeds | null {
  if (needs === undefined) return null;
  for (const name of ["calls", "tokens"] as const) {
    const value = needs[name];
    if (Number.isSafeInteger(value) && value > 0) continue;
    throw fail("AGENT_INVALID", { agent, problem: `needs.${name} must be a whole number above 0` });
  }
  if (typeof needs.model !== "string" || needs.model === "")
    throw fail("AGENT_INVALID", { agent, problem: "needs.model must name a model" });
  return needs;
}

/**
 * Waits for room, booking nothing: runs that begin together may still meet at the limit, where each of their calls waits its turn. Once
 * for each run: it is recorded, and not asked again where the run goes on.
 *
 * @throws QUOTA_IMPOSSIBLE when a limit is smaller than the need; MODEL_UNKNOWN
 */
export async function waitForRoom(execution: Execution, gateway: ModelGateway | null, needs: RunNeeds): Promise<void> {
  if (execution.replay.hasCheckpoint) return;
  if (gateway === null) throw fail("GATEWAY_MISSING");
  const { agent, tenant_id: tenant } = execution.claim;
  await performStep(execution, execution.root, {
    name: "(room)",
    input: null,
    retry: resolveRetry(undefined),
    timeoutMs: null,
    counted: false,
    sealed: true,
    body: async () => {
      const { ok, readyAtMs, blocking } = await gateway.preflight({ ...needs, agent, tenant });
      if (ok) return null;
      const untilMs = readyAtMs ?? execution.owner.clock.now() + LOOK_AGAIN_MS;
      throw new Postponed(untilMs, `room for ${needs.calls} calls and ${needs.tokens} tokens in ${blocking}`);
    },
  });
}
