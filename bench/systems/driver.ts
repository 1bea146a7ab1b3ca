// Drives one system in a process of its own. Stopped between its turns, so that an idle system costs the others nothing.
import { fileURLToPath } from "node:url";
import { Child } from "../lab/child.ts";
import type { LoopTimes, Mark } from "./stage.ts";

export type Order =
  | { readonly type: "loop"; readonly runs: number; readonly steps: number }
  | { readonly type: "start"; readonly here: boolean }
  | { readonly type: "recover"; readonly steps: number }
  | { readonly type: "acknowledge"; readonly mark: Mark }
  | { readonly type: "close" };

export type Answer =
  | { readonly type: "ready"; readonly version: string; readonly canStartHere: boolean }
  | { readonly type: "done"; readonly ms?: number; readonly times?: LoopTimes }
  | { readonly type: "mark"; readonly mark: Mark; readonly ms?: number }
  | { readonly type: "failed"; readonly message: string };

export interface SystemName {
  readonly name: string;
  /** Path of the module that opens it, relative to this folder. */
  readonly module: string;
}

const PROGRAM = new URL("program.ts", import.meta.url);

export class Driver extends Child<Order, Answer> {
  version = "";
  canStartHere = false;

  private constructor(system: SystemName, url: string, dying: boolean) {
    super(system.name, PROGRAM, {
      LONGHAUL_BENCH_SYSTEM: fileURLToPath(new URL(system.module, import.meta.url)),
      LONGHAUL_BENCH_URL: url,
      LONGHAUL_BENCH_DYING: dying ? "1" : "0",
    });
  }

  /** @param dying Whether this process is to be killed after recording the steps of a recovery. */
  static async open(system: SystemName, url: string, dying = false): Promise<Driver> {
    const driver = new Driver(system, url, dying);
    const ready = await driver.heard("ready");
    driver.version = ready.version;
    driver.canStartHere = ready.canStartHere;
    return driver;
  }

  async loop(runs: number, steps: number): Promise<LoopTimes> {
    this.send({ type: "loop", runs, steps });
    const { times } = await this.heard("done");
    if (times === undefined) throw new Error(`${this.name} gave no times`);
    return times;
  }

  /** Milliseconds from the call that submits to the first line of the program. */
  async start(here = false): Promise<number> {
    this.send({ type: "start", here });
    return (await this.heard("done")).ms ?? Number.NaN;
  }
}
