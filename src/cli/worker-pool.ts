// The worker processes under one supervisor: some that are kept alive, more when told, fewer when told.
import { WorkerProcess, type WorkerProcessOptions } from "./worker-process.ts";

export type PoolOptions = Omit<WorkerProcessOptions, "stop"> & { readonly stop: AbortSignal };

interface Member {
  readonly worker: WorkerProcess;
  readonly retire: AbortController;
}

export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #members = new Set<Member>();
  readonly #lives = new Set<Promise<void>>();

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Those that are kept alive; one that has been told to go is none of them. */
  get workers(): readonly WorkerProcess[] {
    return [...this.#members].filter(({ retire }) => !retire.signal.aborted).map(({ worker }) => worker);
  }

  get size(): number {
    return this.workers.length;
  }

  /** Starts one more. */
  add(): WorkerProcess {
    const retire = new AbortController();
    const stop = AbortSignal.any([this.#options.stop, retire.signal]);
    const member = { worker: new WorkerProcess({ ...this.#options, stop }), retire };
    this.#members.add(member);
    const life = member.worker.keepAlive().finally(() => {
      this.#members.delete(member);
      this.#lives.delete(life);
    });
    this.#lives.add(life);
    return member.worker;
  }

  /** Lets one drain and end: what it might still run goes on to its next boundary, and elsewhere from there. */
  retire(worker: WorkerProcess): void {
    for (const member of this.#members) if (member.worker === worker) member.retire.abort();
  }

  kill(): void {
    for (const { worker } of this.#members) worker.kill();
  }

  /** Resolves when the last process has ended. */
  async ended(): Promise<void> {
    while (this.#lives.size > 0) await Promise.all(this.#lives);
  }
}
