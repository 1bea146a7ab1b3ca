// How the fake model behaves, said in JSON: rules, faults by chance, and what holds when nothing else does.
import type { Protocol } from "./conversation.ts";
import { type Fault, type FaultKind, type FaultLike, faultOf } from "./fault.ts";
import { globToRegExp } from "./referee.ts";
import type { Pace, Reply } from "./reply.ts";
import type { FakeRequest, Operation } from "./request.ts";
import { fraction } from "./seeded.ts";

/** All of it must fit. */
export interface Condition {
  readonly protocol?: Protocol;
  readonly operation?: Operation;
  /** `*` stands for anything. */
  readonly model?: string;
  readonly stream?: boolean;
  /** In what the user said last. */
  readonly contains?: string;
  /** In the system's message. */
  readonly system?: string;
  /** Round of tool calls since the user last spoke, from 0. */
  readonly round?: number;
  /** A tool of this name is offered. */
  readonly tool?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Rule {
  readonly when?: Condition;
  /** Passes over the first so many requests that fit. Default: 0. */
  readonly skip?: number;
  /** Holds for so many requests, then no longer. Default: for ever. */
  readonly times?: number;
  readonly reply: Reply;
}

/** Faults by chance, the same ones for the same seed and the same requests, in whichever order these come. */
export interface Schedule {
  readonly seed?: number;
  /** Share of the requests that are hit, 0 to 1. */
  readonly rate: number;
  /** All equally likely, or by weight. */
  readonly faults: readonly FaultLike[] | Partial<Record<FaultKind, number>>;
  /** `request`: by what is asked and how often it came. `number`: by the request's place in the line. Default: request. */
  readonly by?: "request" | "number";
  /** After so many arrivals of the same request it is spared, so that everything ends well. Default: never. */
  readonly mercyAfter?: number;
}

export interface Behaviour extends Pace {
  readonly rules?: readonly Rule[];
  /** When no rule fits. */
  readonly reply?: Reply;
  readonly schedule?: Schedule;
  /** Numbers of each embedding. */
  readonly dimensions?: number;
  /** How a batch ends, and when after it was sent. Default: completed, 20 ms. */
  readonly batches?: { readonly outcome?: "completed" | "failed" | "expired" | "never"; readonly afterMs?: number };
}

/** A behaviour at work: it counts how often its rules have held. */
export class Rules {
  readonly #rules: { readonly rule: Rule; readonly model: RegExp | null; seen: number }[];

  constructor(rules: readonly Rule[]) {
    this.#rules = rules.map((rule) => {
      return { rule, model: rule.when?.model === undefined ? null : globToRegExp(rule.when.model), seen: 0 };
    });
  }

  replyTo(request: FakeRequest): Reply | null {
    for (const state of this.#rules) {
      const { rule, model } = state;
      if (model !== null && !model.test(request.model)) continue;
      if (rule.when !== undefined && !fits(rule.when, request)) continue;
      const seen = state.seen;
      state.seen += 1;
      const skip = rule.skip ?? 0;
      if (seen >= skip && (rule.times === undefined || seen < skip + rule.times)) return rule.reply;
    }
    return null;
  }
}

function fits(when: Condition, request: FakeRequest): boolean {
  if (when.protocol !== undefined && when.protocol !== request.protocol) return false;
  if (when.operation !== undefined && when.operation !== request.operation) return false;
  if (when.stream !== undefined && when.stream !== request.stream) return false;
  if (when.contains !== undefined && !request.lastUserText.includes(when.contains)) return false;
  if (when.system !== undefined && !request.systemText.includes(when.system)) return false;
  if (when.round !== undefined && when.round !== request.round) return false;
  if (when.tool !== undefined && !request.tools.some((tool) => tool.name === when.tool)) return false;
  return Object.entries(when.headers ?? {}).every(([name, value]) => request.headers[name.toLowerCase()] === value);
}

export function scheduledFault(schedule: Schedule, request: FakeRequest): Fault | null {
  if (schedule.mercyAfter !== undefined && request.arrival > schedule.mercyAfter) return null;
  const place = schedule.by === "number" ? String(request.number) : `${request.fingerprint}/${request.arrival}`;
  const seed = schedule.seed ?? 0;
  if (fraction(place, seed) >= schedule.rate) return null;
  return chosen(schedule.faults, fraction(`${place}/which`, seed));
}

function chosen(faults: Schedule["faults"], chance: number): Fault | null {
  const weighted: [FaultLike, number][] = Array.isArray(faults)
    ? faults.map((fault: FaultLike) => [fault, 1])
    : (Object.entries(faults) as [FaultKind, number][]);
  let left = chance * weighted.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [fault, weight] of weighted) {
    left -= weight;
    if (left < 0) return faultOf(fault);
  }
  return null;
}
