// How calls are made, as an alias or the whole configuration says it.
import type { CallPolicy } from "./config.ts";
import type { ConfigCheck } from "./config-check.ts";
import type { PolicySettings } from "./settings.ts";

export const POLICY_KEYS: readonly string[] = [
  "attempts",
  "timeout",
  "idle",
  "onPartial",
] satisfies readonly (keyof CallPolicy)[];

/** More attempts than that are a way to pay for an outage. */
const ATTEMPTS_MAX = 50;

/** @throws CONFIG_INVALID */
export function policy(check: ConfigCheck, path: string, written: Record<string, unknown>): PolicySettings {
  return {
    attempts: check.count(`${path}.attempts`, written["attempts"], 1, ATTEMPTS_MAX),
    timeoutMs: check.duration(`${path}.timeout`, written["timeout"], 100),
    idleMs: check.duration(`${path}.idle`, written["idle"], 100),
    onPartial: check.choice(`${path}.onPartial`, written["onPartial"], ["reset", "fail"]),
  };
}
