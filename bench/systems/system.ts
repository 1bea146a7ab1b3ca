// What a system under measurement must be able to do; each is driven in a process of its own, by the same program.
import type { Stage } from "./stage.ts";

/** What a durable program gets as its input. */
export interface Work {
  readonly id: string;
  readonly kind: "loop" | "start" | "recover";
  readonly steps: number;
}

export interface System {
  readonly version: string;
  /** Submits a run of the one program. Resolves when it has been accepted; how it goes on is told to the stage. */
  submit(work: Work): Promise<unknown>;
  /** Starts it in this process without a queue, where the system can do that. */
  startHere?(work: Work): Promise<unknown>;
  close(): Promise<void>;
}

/**
 * Opens a system on an empty database, with a worker that runs up to `slots` programs at once and everything else as it comes.
 * The program's whole body is `stage.perform(work, step)`, where `step` runs one trivial step of the system durably.
 */
export type OpenSystem = (url: string, stage: Stage, slots: number) => Promise<System>;
