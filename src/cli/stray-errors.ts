// Errors that no code caught, in a process that has the user's agents in it.
import type { Logger } from "../engine/worker-options.ts";

/**
 * Decides what they cost. A rejected promise that nobody awaited costs a line in the log: which run let go of it is not known, and its
 * neighbours have done nothing. An exception that nobody caught may have left anything half done: it costs the process, at once and
 * without a farewell. Whatever held a lease here is taken over, and a run that does this again and again is found out by it.
 */
export function hearStrayErrors(log: Logger): void {
  process.on("unhandledRejection", (error) => {
    log("error", "a promise that nobody awaited was rejected: the process goes on", { error, hint: AWAIT_IT });
  });
  process.on("uncaughtException", (error) => {
    log("error", "an exception that nobody caught ends the process", { error, hint: CATCH_IT });
    process.exit(1);
  });
}

const AWAIT_IT = "Await the promise in the agent, or catch its error: it was lost to the run.";
const CATCH_IT = "Catch it where it is thrown: in a timer or an event handler no step and no run can.";
