// All claims by name, in the order in which they are measured.
import type { Claim } from "../lab/claim.ts";
import { agentCost } from "./agent.ts";
import { approvals } from "./approvals.ts";
import { asyncAgents } from "./async-agents.ts";
import { gateway } from "./gateway.ts";
import { idle } from "./idle.ts";
import { loadSignals } from "./load-signals.ts";
import { peers } from "./peers.ts";
import { queueCaps } from "./queue-caps.ts";
import { queueDepth } from "./queue-depth.ts";
import { queueFairness } from "./queue-fairness.ts";
import { queuePeers } from "./queue-peers.ts";
import { queueStore } from "./queue-store.ts";
import { queueSubmit } from "./queue-submit.ts";
import { quotaAdmissions } from "./quota-admissions.ts";
import { recovery } from "./recovery.ts";
import { replay } from "./replay.ts";
import { simulator } from "./simulator.ts";
import { soak } from "./soak.ts";
import { start } from "./start.ts";
import { steps } from "./steps.ts";
import { takeover } from "./takeover.ts";
import { tokens } from "./tokens.ts";

const ofRuns = [steps, agentCost, start, replay, recovery, takeover, idle, approvals, tokens, simulator, peers];
const ofTheQueue = [loadSignals, queueStore, queueSubmit, queueDepth, queueFairness, queueCaps, queuePeers];

const ofTheGateway = [gateway, quotaAdmissions, asyncAgents];

export const claims: readonly Claim[] = [...ofRuns, ...ofTheQueue, ...ofTheGateway, soak];
