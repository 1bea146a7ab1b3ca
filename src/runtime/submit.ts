// Submitting: check, place large inputs apart, store in one statement that can be repeated.
import { createHash } from "node:crypto";
import type { AnyAgent } from "../agents/ctx.ts";
import { validInput } from "../agents/schema.ts";
import { bandNumber } from "../domain/band.ts";
import { budgetRow, checkBudget, strictest } from "../domain/budget-check.ts";
import { durationMs } from "../domain/duration.ts";
import { fail, type LonghaulError } from "../domain/errors.ts";
import { checkKey, checkName } from "../domain/key.ts";
import { DURATION_MS_MAX, INLINE_VALUE_BYTES_MAX } from "../domain/limits.ts";
import { fitsJsonb } from "../domain/text.ts";
import { encodeValue } from "../domain/value.ts";
import { newId } from "../engine/ids.ts";
import type { Worker } from "../engine/worker.ts";
import { Batcher } from "../store/batch.ts";
import type { Database } from "../store/database.ts";
import { isConnectionLost } from "../store/driver-errors.ts";
import { cancelRun } from "../store/finish.ts";
import { untilAnswered } from "../store/patience.ts";
import { intakeStatements, type NewRun, type Submitted, submitRuns } from "../store/submit.ts";
import { submitAndClaim } from "../store/submit-claim.ts";
import { openRunsOfThread } from "../store/threads.ts";
import { alikeOf, submitAlike } from "./alike.ts";
import type { SubmitOptions } from "./api.ts";
import type { Installation } from "./installation.ts";
import { checkUuid } from "./uuid.ts";

/** How long a submit tries again after a lost connection before it says so. */
const PATIENCE_MS = 2_000;
const SMALLINT_MAX = 32_767;

export interface Placed {
  readonly runId: string;
  readonly existing: boolean;
}

/** A worker of this process that may have time for what is submitted here. */
export interface Neighbour {
  worker: Pick<Worker, "along"> | null;
}

/** Submits of one process that come together go together. */
export function submitBatcher(db: Database, neighbour: Neighbour): Batcher<NewRun, Submitted> {
  return new Batcher<NewRun, Submitted>({
    inFlightMax: 4,
    itemsMax: 500,
    bytesMax: 4 * 1024 * 1024,
    isShared: isConnectionLost,
    bytesOf: (run) => (run.input?.length ?? 0) + (run.apart?.body.length ?? 0) + 256,
    send: async (runs) => {
      // Once with a claim: if its answer is lost, nobody here knows what was claimed.
      let store = (): Promise<Submitted[]> => storeAndStart(db, neighbour, runs) ?? submitRuns(db, runs);
      const rows = await untilAnswered(() => {
        const sent = store();
        store = () => submitRuns(db, runs);
        return sent;
      }, PATIENCE_MS);
      const byAsked = new Map(rows.map((row) => [row.asked_id, row]));
      return runs.map((run) => byAsked.get(run.runId) as Submitted);
    },
  });
}

/** A run that comes alone is claimed by the statement that stores it, if it may start at once and a worker here has time for it. */
function storeAndStart(db: Database, { worker }: Neighbour, runs: readonly NewRun[]): Promise<Submitted[]> | null {
  const [run] = runs;
  if (worker === null || run === undefined || runs.length > 1 || run.runAt !== null || run.apart !== undefined)
    return null;
  return worker.along(run.build, run.queue, async (request) => {
    const { told, claims } = await submitAndClaim(db, run, request);
    return { claims, told: [{ ...told, started: claims.some((claim) => claim.run_id === told.run_id) }] };
  });
}

export async function submit(
  installation: Installation,
  tenant: string,
  agent: AnyAgent | string,
  input: unknown,
  options: SubmitOptions,
): Promise<Placed> {
  await installation.admission.admit();
  return place(installation, await prepare(installation, tenant, agent, input, options), options);
}

/** The run that a submit asks for, checked in every respect. */
export function prepare(
  installation: Installation,
  tenant: string,
  agent: AnyAgent | string,
  input: unknown,
  options: SubmitOptions,
): Promise<NewRun> {
  const known = typeof agent === "string" ? installation.agent(agent) : agent;
  return newRun(installation, tenant, known, input, options);
}

/** Stores a checked run. */
export async function place(installation: Installation, run: NewRun, options: SubmitOptions): Promise<Placed> {
  if (options.tx !== undefined) return intake(installation, run, options);
  const row = run.alike
    ? await submitAlike(installation.db, run, run.alike, PATIENCE_MS, (refused) => refuse(run, refused))
    : await installation.submits.add(run);
  refuse(run, row);
  if (row.existing && run.alike && row.run_id !== run.runId) return { runId: row.run_id, existing: true };
  // An id is one run's in the whole installation: if that is another tenant's, nothing was stored, and nothing is told of it.
  if (row.existing && row.run_id === run.runId && (await installation.reads.run(run.tenant, run.runId)) === null)
    throw fail("RUN_ID_TAKEN", { run: run.runId });
  if (row.existing && !row.same_request && run.idempotencyKey !== null) {
    throw fail("IDEMPOTENCY_MISMATCH", { key: run.idempotencyKey, run: row.run_id });
  }
  if (row.started !== true) installation.doorbell.ring("ready", row.run_id);
  if (options.ifBusy === "interrupt" && run.threadId !== null)
    await interruptOthers(installation, run.tenant, run.threadId, row.run_id);
  return { runId: row.run_id, existing: row.existing && (row.run_id !== run.runId || options.runId !== undefined) };
}

async function newRun(
  installation: Installation,
  tenant: string,
  agent: AnyAgent,
  input: unknown,
  options: SubmitOptions,
): Promise<NewRun> {
  const budget = strictest(agent.budget, checkBudget("the submit", options.budget));
  const value = encodeValue(await validInput(agent, input));
  const isLarge = Buffer.byteLength(value) > INLINE_VALUE_BYTES_MAX;
  const runAt = startOf(installation, options);
  const runId = options.runId === undefined ? newId() : checkUuid("run", options.runId);
  const hash = isLarge ? createHash("sha256").update(value).digest("hex") : null;
  // One of its own in a transaction of the caller's: who submits the same value meanwhile must not wait for its end.
  const name = hash !== null && options.tx !== undefined ? `${hash}:${runId}` : hash;
  const apart = name === null ? undefined : { tenant, hash: name, body: value };
  const threadId = options.threadId === undefined ? null : checkUuid("thread", options.threadId);
  const key = options.idempotencyKey === undefined ? null : checkKey("idempotency key", options.idempotencyKey);
  return {
    runId,
    rootId: runId,
    parentId: null,
    parentKey: null,
    depth: 0,
    detached: false,
    forkedFrom: null,
    tenant,
    agent: checkName("agent", agent.name),
    build: checkKey("build", options.build ?? installation.build),
    queue: checkKey("queue", options.queue ?? agent.queue),
    band: bandNumber(agent.band),
    concurrencyKey: options.concurrencyKey === undefined ? "" : checkKey("concurrency key", options.concurrencyKey),
    priority: checkPriority(options.priority ?? 100),
    threadId,
    rejectIfBusy: options.ifBusy === "reject",
    idempotencyKey: key,
    requestHash: key === null ? null : requestHash(agent.name, value, threadId),
    alike: alikeOf(agent, options.build ?? installation.build, threadId, value, options),
    input: apart === undefined ? value : null,
    inputBlob: apart?.hash ?? null,
    apart,
    options: plainJson("options", options.options ?? {}),
    metadata: plainJson("metadata", options.metadata ?? {}),
    runAt,
    startBy: startByOf(installation, options, runAt),
    budget: budget === null ? null : budgetRow(budget),
    budgetAbove: null,
  };
}

function startOf({ clock }: Installation, options: SubmitOptions): Date | null {
  if (options.runAt === undefined)
    return options.delay === undefined ? null : new Date(clock.now() + durationMs(options.delay));
  const latest = clock.now() + DURATION_MS_MAX;
  if (!(options.runAt instanceof Date) || !(options.runAt.getTime() <= latest))
    throw fail("RUN_AT_INVALID", {
      value: String(options.runAt).slice(0, 100),
      latest: new Date(latest).toISOString(),
    });
  // Long ago is as good as now, and older than a database's calendar is no moment for it.
  return options.runAt.getTime() < 0 ? new Date(0) : options.runAt;
}

/** A start that was due in the past is due now: what may take its time from then on counts from now. */
function startByOf({ clock }: Installation, { startWithin }: SubmitOptions, runAt: Date | null): Date | null {
  if (startWithin === undefined) return null;
  return new Date(Math.max(runAt?.getTime() ?? 0, clock.now()) + durationMs(startWithin));
}

/** @throws THREAD_BUSY, TENANT_FULL, SUBMIT_RATE */
function refuse(run: NewRun, row: Submitted): void {
  if (row.refused === null) return;
  if (row.refused === "busy") throw fail("THREAD_BUSY", { thread: run.threadId ?? "" });
  throw turnedAway(run.tenant, row.refused, row.retry_ms ?? 1_000);
}

/** What a tenant is told whose plan does not allow one more run. */
export function turnedAway(tenant: string, why: "full" | "rate", retryAfterMs: number): LonghaulError {
  return fail(why === "full" ? "TENANT_FULL" : "SUBMIT_RATE", { tenant }, { details: { retryAfterMs } });
}

async function intake(installation: Installation, run: NewRun, options: SubmitOptions): Promise<Placed> {
  if (options.idempotencyKey !== undefined) throw fail("IDEMPOTENCY_IN_TRANSACTION");
  for (const { text, values } of intakeStatements(run)) await options.tx?.query(installation.db.rewrite(text), values);
  return { runId: run.runId, existing: false };
}

async function interruptOthers(
  installation: Installation,
  tenant: string,
  threadId: string,
  newest: string,
): Promise<void> {
  for (const runId of await openRunsOfThread(installation.db, tenant, threadId)) {
    if (runId >= newest) continue;
    await cancelRun(installation.db, runId, "interrupted by a newer run of the thread");
    installation.doorbell.ring("inbox", runId);
  }
}

function requestHash(agent: string, input: string, threadId: string | null): string {
  return createHash("sha256")
    .update(JSON.stringify([agent, input, threadId]))
    .digest("hex");
}

function checkPriority(priority: number): number {
  if (!Number.isInteger(priority) || priority < 0 || priority > SMALLINT_MAX)
    throw fail("PRIORITY_INVALID", { value: String(priority) });
  return priority;
}

/** Metadata is kept as jsonb, so that it can be searched: plain JSON without NUL or half surrogates. */
function plainJson(name: string, value: Readonly<Record<string, unknown>>): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw fail("METADATA_INVALID", { name, problem: "it is not plain JSON" }, { cause: error });
  }
  if (text === undefined || !text.startsWith("{"))
    throw fail("METADATA_INVALID", { name, problem: "it is not an object" });
  if (!fitsJsonb(text))
    throw fail("METADATA_INVALID", { name, problem: "it contains NUL or half of a surrogate pair" });
  return text;
}
