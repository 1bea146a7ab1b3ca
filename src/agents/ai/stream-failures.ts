// What went wrong with a streamed call, for whoever waits for the end of the run: `streamText` tells it to its stream alone.
import { isLonghaulError } from "../../domain/errors.ts";
import type { Execution } from "../../engine/execution.ts";
import { recordPartial } from "../../engine/record.ts";

export class StreamFailures {
  #last: unknown = null;
  /** The budget's word is not the code's to pass over: a loop that streams would end early, as if that were its end. */
  #overBudget: unknown = null;

  note(error: unknown): void {
    this.#last = error;
    if (isLonghaulError(error, "BUDGET_EXCEEDED")) this.#overBudget ??= error;
  }

  /** Runs an agent's code; how it ends says what its streams did not. */
  async tell<T>(execution: Execution, code: () => Promise<T> | T): Promise<T> {
    let output: T;
    try {
      output = await code();
    } catch (error) {
      throw this.#last !== null && isNoOutput(error) ? this.#last : error;
    }
    if (this.#overBudget === null) return output;
    recordPartial(execution, execution.root, output);
    throw this.#overBudget;
  }
}

/** What `await result.text` rejects with: that there is none, not why. */
function isNoOutput(error: unknown): boolean {
  return error instanceof Error && error.name === "AI_NoOutputGeneratedError";
}
