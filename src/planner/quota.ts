// What to ask the provider for: enough that calls hardly wait for their turn in the busy hour.
import type { Demand } from "./demand.ts";
import { type ProviderLimits, STEADY_RATE } from "./provider.ts";
import type { Question } from "./question.ts";
import type { Trial } from "./trial.ts";

/** Room above the average of the busy hour to begin with. */
const HEADROOM = 1.25;
/** Nobody gives less, and a few runs that call at the same moment need it. */
const REQUESTS_MIN = 60;
/** 95 of 100 calls shall not wait longer. */
const CALL_WAIT_MS = 1_000;
const ROUNDS = 8;

/** True when what was given cannot carry the average of the busy hour: no number of workers helps then. */
export function isShort({ requestsPerMinute, tokensPerMinute, tokensPerCall }: Question, demand: Demand): boolean {
  const tooFew = (given: number | null, needed: number): boolean => given !== null && needed >= given * STEADY_RATE;
  const tooSmall = tokensPerMinute !== null && tokensPerCall >= tokensPerMinute;
  return (
    tooSmall || tooFew(requestsPerMinute, demand.callsPerMinute) || tooFew(tokensPerMinute, demand.tokensPerMinute)
  );
}

/** Limits that were given stay; the others grow until the calls do not wait. */
export function quotaFor(
  question: Question,
  demand: Demand,
  attempt: (limits: ProviderLimits) => Trial,
): { readonly limits: ProviderLimits; readonly trial: Trial } {
  let room = HEADROOM;
  for (let round = 1; ; round++) {
    const limits = limitsWith(question, demand, room);
    const trial = attempt(limits);
    const asked = question.requestsPerMinute === null || question.tokensPerMinute === null;
    if (!asked || round === ROUNDS || trial.callWait.p95Ms <= CALL_WAIT_MS) return { limits, trial };
    room *= 1.4;
  }
}

/** What the busy hour needs with this much room, where nothing was given. */
export function limitsWith(question: Question, demand: Demand, room = HEADROOM): ProviderLimits {
  const { callsPerRun, tokensPerCall, requestsPerMinute, tokensPerMinute } = question;
  const requests = Math.max(REQUESTS_MIN, (demand.callsPerMinute * room) / STEADY_RATE);
  return {
    requestsPerMinute: requestsPerMinute ?? (callsPerRun === 0 ? null : roundUp(requests)),
    tokensPerMinute: tokensPerMinute ?? (callsPerRun * tokensPerCall === 0 ? null : roundUp(requests * tokensPerCall)),
  };
}

/** To two significant digits. */
export function roundUp(value: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(value)) - 1);
  return Math.ceil(value / unit - 1e-9) * unit;
}
