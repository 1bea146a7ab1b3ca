// What a queue under measurement must be able to do; each is driven in a process of its own, with jobs that do nothing.

export interface JobSystem {
  readonly version: string;
  /** When an accepted job is safe, and what was set differently from what comes by itself. */
  readonly settings: string;
  /** Resolves when as many jobs as told have been accepted, all in one call where the system has one. */
  submit(count: number): Promise<void>;
  /** Starts what executes jobs, calling `onJob` in each; gives what stops it again. */
  work(onJob: () => void): Promise<() => Promise<void>>;
  /** Whether any job is still to be executed, or is not yet recorded as executed. */
  hasWork(): Promise<boolean>;
  close(): Promise<void>;
}

/** Opens a system on an empty database, which executes up to `slots` jobs at once. */
export type OpenJobSystem = (url: string, slots: number) => Promise<JobSystem>;
