// Drives one queue in a process of its own, stopped between its turns.
import { fileURLToPath } from "node:url";
import { Child } from "../lab/child.ts";
import type { JobAnswer, JobOrder, JobTask } from "./program.ts";

export interface JobSystemName {
  readonly name: string;
  /** Path of the module that opens it, relative to this folder. */
  readonly module: string;
}

const PROGRAM = new URL("program.ts", import.meta.url);
const PATIENCE_MS = 600_000;

export class JobDriver extends Child<JobOrder, JobAnswer> {
  version = "";
  settings = "";

  static async open({ name, module }: JobSystemName, url: string, slots: number): Promise<JobDriver> {
    const task: JobTask = { file: fileURLToPath(new URL(module, import.meta.url)), url, slots };
    const driver = new JobDriver(name, PROGRAM, { LONGHAUL_BENCH_TASK: JSON.stringify(task) });
    const ready = await driver.heard("ready");
    driver.version = ready.version;
    driver.settings = ready.settings;
    driver.pause();
    return driver;
  }

  /** Seconds it takes to have the jobs accepted. */
  submit(jobs: number, batch: number, clients: number): Promise<number> {
    return this.#turn(async () => {
      this.send({ type: "submit", jobs, batch, clients });
      return (await this.heard("submitted", PATIENCE_MS)).seconds;
    });
  }

  /** Seconds from the first of these jobs until the last is recorded as done. */
  drain(jobs: number): Promise<number> {
    return this.#turn(async () => {
      this.send({ type: "drain", jobs });
      return (await this.heard("drained", PATIENCE_MS)).seconds;
    });
  }

  /** Milliseconds from submit to first line, of jobs that come one by one. */
  latency(times: number): Promise<readonly number[]> {
    return this.#turn(async () => {
      this.send({ type: "latency", times });
      return (await this.heard("waits", PATIENCE_MS)).ms;
    });
  }

  async #turn<Result>(work: () => Promise<Result>): Promise<Result> {
    this.resume();
    try {
      return await work();
    } finally {
      this.pause();
    }
  }
}
