// Processes that claim, and what kills them: some are bare claimers, some are workers; the dead are replaced at once.
import { Child } from "../lab/child.ts";
import { pause } from "../lab/until.ts";
import type { ClaimerNews, ClaimerTask } from "./claimer-program.ts";
import { bury, type Database } from "./store.ts";
import { WorkerProcess } from "./worker.ts";

interface Member {
  readonly workerId: string;
  readonly process: { kill(): Promise<void>; close(): Promise<void> };
  /** Starts another of its sort. */
  readonly replace: () => Promise<Member>;
}

export interface CrewOptions {
  readonly url: string;
  readonly db: Database;
  /** Of each sort. */
  readonly count: number;
  readonly leaseMs: number;
  readonly holdMs: number;
}

export class Crew {
  kills = 0;
  readonly #options: CrewOptions;
  readonly #members: Member[] = [];

  private constructor(options: CrewOptions) {
    this.#options = options;
  }

  static async start(options: CrewOptions): Promise<Crew> {
    const crew = new Crew(options);
    const starts = Array.from({ length: options.count }, () => [crew.#claimer(), crew.#worker()]).flat();
    crew.#members.push(...(await Promise.all(starts)));
    return crew;
  }

  /** Kills members by chance until `isOver`; every second death is seen by a supervisor, after the others the leases lapse. */
  async decimate(everyMs: number, isOver: () => boolean): Promise<void> {
    const replacing: Promise<void>[] = [];
    while (!isOver()) {
      await pause(Math.random() * 2 * everyMs);
      const [member] = this.#members.splice(Math.floor(Math.random() * this.#members.length), 1);
      // All of them may be starting.
      if (member !== undefined) replacing.push(this.#kill(member));
    }
    await Promise.all(replacing);
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map(({ process }) => process.close()));
  }

  async #kill(member: Member): Promise<void> {
    await member.process.kill();
    this.kills += 1;
    if (this.kills % 2 === 0) await bury(this.#options.db, member.workerId);
    this.#members.push(await member.replace());
  }

  async #claimer(): Promise<Member> {
    const { url, leaseMs, holdMs } = this.#options;
    const task: ClaimerTask = { url, leaseMs, holdMs };
    const claimer = new Child<never, ClaimerNews>("claimer", new URL("claimer-program.ts", import.meta.url), {
      LONGHAUL_BENCH_TASK: JSON.stringify(task),
    });
    const { workerId } = await claimer.heard("ready");
    return { process: claimer, workerId, replace: () => this.#claimer() };
  }

  async #worker(): Promise<Member> {
    const { url, leaseMs, holdMs } = this.#options;
    const worker = await WorkerProcess.start(url, { slots: 40, leaseMs, holdMs });
    worker.work();
    const { workerId } = await worker.heard("working");
    return { process: worker, workerId, replace: () => this.#worker() };
  }
}
