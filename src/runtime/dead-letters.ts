// The verbs on dead letters: each is dealt with once, also when whoever deals with it is cut off and tries again.
import { validInput } from "../agents/schema.ts";
import { fail, isLonghaulError } from "../domain/errors.ts";
import type { Failure } from "../domain/failure.ts";
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from "../domain/limits.ts";
import type { Run } from "../domain/run.ts";
import { decodeValue, encodeValue } from "../domain/value.ts";
import { derivedId } from "../engine/ids.ts";
import { type DeadRow, discardDead, nextDead, readDead, readNow } from "../store/dead.ts";
import type { DeadLetters, RunHandle, Tenant } from "./api.ts";
import { keptByRetry, retryRun, revive } from "./fork.ts";
import { answering, type Installation } from "./installation.ts";
import type { DeadFilter, DeadLetter, DeadNews, ListDead } from "./limits-api.ts";
import { isUuid } from "./uuid.ts";

const PAGE = 100;
/** Letters of many that are dealt with at the same time. */
const AT_ONCE = 5;

export class DeadLetterVerbs implements DeadLetters {
  readonly #installation: Installation;
  readonly #tenant: Pick<Tenant, "tenantId" | "get">;
  readonly #handle: (runId: string, existing: boolean) => RunHandle;

  constructor(
    installation: Installation,
    tenant: Pick<Tenant, "tenantId" | "get">,
    handle: (runId: string, existing: boolean) => RunHandle,
  ) {
    this.#installation = installation;
    this.#tenant = tenant;
    this.#handle = handle;
  }

  async list(filter: ListDead = {}): Promise<DeadLetter[]> {
    const { limit = PAGE_SIZE_DEFAULT, before, paused = true } = filter;
    if (before !== undefined && !isUuid(before)) return [];
    const page = { limit: Math.min(Math.max(1, limit), PAGE_SIZE_MAX), before: before ?? null, paused };
    const wanted = { ...columnsOf(filter), ...page };
    return (await answering(() => readDead(this.#installation.db, this.#tenant.tenantId, wanted))).map(letterView);
  }

  async retry(runId: string, { by }: { by: string }): Promise<RunHandle> {
    const run = await this.#run(runId);
    if (run.status === "paused")
      return this.#handle(await answering(() => retryRun(this.#installation, run, by)), true);
    const next = this.#idAfter(run, ["retry"]);
    const keep = await answering(() => keptByRetry(this.#installation, run));
    if (!(await answering(() => revive(this.#installation, run, next, keep, null, true)))) throw noLetter(runId);
    return this.#handle(next, false);
  }

  async edit(runId: string, input: unknown, options: Parameters<DeadLetters["edit"]>[2] = {}): Promise<RunHandle> {
    const run = await this.#run(runId);
    const agent = options.agent ?? this.#installation.agent(run.agent);
    const text = encodeValue(await validInput(agent, input));
    const next = this.#idAfter(run, ["edit", text]);
    if (!(await answering(() => revive(this.#installation, run, next, [], { text, blob: null }, true))))
      throw noLetter(runId);
    return this.#handle(next, false);
  }

  async discard(runId: string): Promise<void> {
    const run = await this.#run(runId);
    const { db } = this.#installation;
    if (!(await answering(() => discardDead(db, this.#tenant.tenantId, run.runId)))) throw noLetter(runId);
  }

  retryAll(filter: DeadFilter, options: { by: string; limit?: number | undefined }): AsyncIterable<DeadNews> {
    return this.#each(filter, options.limit, async (runId) => {
      const { runId: newRunId } = await this.retry(runId, options);
      return { runId, did: "retried", newRunId, error: null };
    });
  }

  discardAll(filter: DeadFilter, options: { limit?: number | undefined } = {}): AsyncIterable<DeadNews> {
    return this.#each(filter, options.limit, async (runId) => {
      await this.discard(runId);
      return { runId, did: "discarded", newRunId: null, error: null };
    });
  }

  /** What dies after the first look is left alone: a run that fails again at once would be tried for ever. */
  async *#each(
    filter: DeadFilter,
    limit = Number.POSITIVE_INFINITY,
    deal: (runId: string) => Promise<DeadNews>,
  ): AsyncGenerator<DeadNews> {
    const { db } = this.#installation;
    const until = await answering(() => readNow(db));
    let after: string | null = null;
    for (let left = limit; left > 0; left -= PAGE) {
      const page = { ...columnsOf(filter), after, until, limit: Math.min(PAGE, left) };
      const runIds: string[] = await answering(() => nextDead(db, this.#tenant.tenantId, page));
      for (let at = 0; at < runIds.length; at += AT_ONCE)
        yield* await Promise.all(runIds.slice(at, at + AT_ONCE).map((runId) => told(runId, deal)));
      if (runIds.length < page.limit) return;
      after = runIds.at(-1) ?? null;
    }
  }

  async #run(runId: string): Promise<Run> {
    const run = await this.#tenant.get(runId);
    if (run === null) throw fail("RUN_NOT_FOUND", { run: String(runId).slice(0, 100) });
    return run;
  }

  /** The same words give the same run: a repeat cannot make a second one. @throws DEAD_LETTER_NOT_FOUND for a run that did not fail */
  #idAfter(run: Run, words: readonly string[]): string {
    if (run.status !== "failed" || run.finishedAt === null) throw noLetter(run.runId);
    return derivedId(Date.parse(run.finishedAt), [run.runId, ...words]);
  }
}

/** One of many: what went wrong with it does not stop the others, unless the database is gone. */
async function told(runId: string, deal: (runId: string) => Promise<DeadNews>): Promise<DeadNews> {
  try {
    return await deal(runId);
  } catch (error) {
    if (!isLonghaulError(error) || error.status === 503) throw error;
    const { code, message } = error;
    const did = code === "DEAD_LETTER_NOT_FOUND" ? "gone" : "failed";
    return { runId, did, newRunId: null, error: { code, message } };
  }
}

function noLetter(runId: string): Error {
  return fail("DEAD_LETTER_NOT_FOUND", { run: runId });
}

function columnsOf({ agent, queue, code, since }: DeadFilter) {
  return { agent: agent ?? null, queue: queue ?? null, code: code ?? null, since: since ?? null };
}

function letterView({ run_id, died_at, failure, reason, ...row }: DeadRow): DeadLetter {
  const message = failure === null ? reason : (decodeValue(failure) as Failure).message;
  return { ...row, runId: run_id, message: message ?? "", diedAt: died_at?.toISOString() ?? null };
}
