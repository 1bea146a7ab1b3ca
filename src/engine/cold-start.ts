// Starting claimed runs that are not live here: their journals and threads come in one query each, then each replays.
import type { Recorded } from "../domain/entry.ts";
import type { Claimed } from "../store/claim.ts";
import type { Database } from "../store/database.ts";
import { readForReplay } from "../store/journal.ts";
import { untilAnswered } from "../store/patience.ts";
import { readThreadStates } from "../store/threads.ts";
import { Execution, type ExecutionOwner, type Programs } from "./execution.ts";
import type { Hands } from "./hands.ts";
import { missingProgram } from "./program.ts";

type ThreadState = Awaited<ReturnType<typeof readThreadStates>>[number];

export class ColdStart {
  readonly #db: Database;
  readonly #leaseMs: number;
  readonly #programs: Programs;
  readonly #hands: Hands;
  readonly #owner: ExecutionOwner;

  constructor(db: Database, leaseMs: number, programs: Programs, hands: Hands, owner: ExecutionOwner) {
    this.#db = db;
    this.#leaseMs = leaseMs;
    this.#programs = programs;
    this.#hands = hands;
    this.#owner = owner;
  }

  async start(claims: readonly Claimed[]): Promise<void> {
    try {
      const [entries, states] = await Promise.all([this.#readJournals(claims), this.#readStates(claims)]);
      for (const claim of claims) void this.#execute(claim, entries.get(claim.run_id) ?? [], states);
    } catch (error) {
      // Their leases lapse, and somebody who can read takes them.
      this.#owner.log("error", "claimed runs could not be read", { error });
      for (const claim of claims) this.#hands.letGo(claim.run_id);
    }
  }

  async #readJournals(claims: readonly Claimed[]): Promise<ReadonlyMap<string, Recorded[]>> {
    // One with nothing but its claim has nothing to replay.
    const used = claims.filter((claim) => claim.journal_seq > 1).map((claim) => claim.run_id);
    return used.length === 0 ? new Map() : untilAnswered(() => readForReplay(this.#db, used), this.#leaseMs);
  }

  async #readStates(claims: readonly Claimed[]): Promise<ThreadState[]> {
    const threads = claims.flatMap((claim) => (claim.thread_no === null ? [] : [claim.thread_no]));
    return threads.length === 0 ? [] : untilAnswered(() => readThreadStates(this.#db, threads), this.#leaseMs);
  }

  async #execute(claim: Claimed, entries: readonly Recorded[], states: readonly ThreadState[]): Promise<void> {
    // Lost and claimed anew while its journal was read: the newer claim executes it.
    if (!this.#hands.stillHas(claim)) return;
    const program = this.#programs.get(claim.agent) ?? missingProgram(claim.agent);
    let execution: Execution;
    try {
      execution = new Execution(claim, program, entries, this.#owner);
    } catch (error) {
      this.#owner.log("error", "a journal could not be read", { runId: claim.run_id, error });
      this.#hands.letGo(claim.run_id);
      return;
    }
    this.#hands.put(execution);
    const state = states.find((s) => s.thread_no === claim.thread_no);
    if (state !== undefined) execution.threadState = await execution.values.load(state.state, state.state_blob);
    await execution.start();
  }
}
