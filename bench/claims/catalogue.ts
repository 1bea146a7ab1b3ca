// All claims by name, in the order in which they are measured.
import type { Claim } from "../lab/claim.ts";
import { agentCost } from "./agent.ts";
import { approvals } from "./approvals.ts";
import { idle } from "./idle.ts";
import { loadSignals } from "./load-signals.ts";
import { peers } from "./peers.ts";
import { recovery } from "./recovery.ts";
import { replay } from "./replay.ts";
import { start } from "./start.ts";
import { steps } from "./steps.ts";
import { takeover } from "./takeover.ts";

export const claims: readonly Claim[] = [
  steps,
  agentCost,
  start,
  replay,
  recovery,
  takeover,
  idle,
  loadSignals,
  approvals,
  peers,
];
