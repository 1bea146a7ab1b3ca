// How many runs one worker executes at once: what its memory holds, and what its one thread keeps up with.
import { WORKER_SLOTS_DEFAULT, WORKER_SLOTS_MAX } from "../domain/limits.ts";
import type { Assumptions } from "./assumptions.ts";
import type { Demand } from "./demand.ts";
import type { Question } from "./question.ts";

export interface Slots {
  readonly slots: number;
  readonly boundBy: "you" | "default" | "memory" | "thread" | "limit";
  /** What memory and thread carry. */
  readonly carries: number;
}

export function slotsOf(question: Question, demand: Demand, assumptions: Assumptions): Slots {
  const { workerMemoryMb, workerBaseMb, memoryPerRunMb, cpuMsPerStep, loadMax, workerLoadMax } = assumptions;
  const memory = (workerMemoryMb - workerBaseMb) / memoryPerRunMb;
  const stepsPerSecondOfRun = demand.stepsPerRun / (question.runMinutes * 60);
  const thread = cpuMsPerStep === 0 ? Number.POSITIVE_INFINITY : (loadMax * 1_000) / cpuMsPerStep / stepsPerSecondOfRun;
  const carries = Math.max(1, Math.floor(Math.min(memory, thread, WORKER_SLOTS_MAX)));
  if (question.slots !== null) return { slots: question.slots, boundBy: "you", carries };
  if (carries > WORKER_SLOTS_DEFAULT && fits(demand, WORKER_SLOTS_DEFAULT * workerLoadMax))
    return { slots: WORKER_SLOTS_DEFAULT, boundBy: "default", carries };
  const boundBy = carries >= WORKER_SLOTS_MAX ? "limit" : memory <= thread ? "memory" : "thread";
  return { slots: carries, boundBy, carries };
}

/** With room for the swings of what comes by chance: a setting that nobody has to change is the simplest. */
function fits({ runsAtOnce }: Demand, slots: number): boolean {
  return runsAtOnce + 2 * Math.sqrt(runsAtOnce) <= slots;
}
