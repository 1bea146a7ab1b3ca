// Opens an installation: a database (given or embedded), its schema, and, if asked for, a worker in this process.
import type { ChildProcess } from "node:child_process";
import { batchersOf } from "../agents/ai/batcher.ts";
import { closeThreads } from "../agents/cpu.ts";
import type { AnyAgent } from "../agents/ctx.ts";
import { toProgram } from "../agents/program.ts";
import { expectedUrl } from "../domain/database-url.ts";
import { fail } from "../domain/errors.ts";
import { DRAIN_MS, LEASE_MS, RETENTION_EVERY_MS, STALL_MS, WORKER_SLOTS_DEFAULT } from "../domain/limits.ts";
import type { PlanInput } from "../domain/plan.ts";
import { startEmbedded } from "../embedded/index.ts";
import { Doorbell } from "../engine/doorbell.ts";
import { newId } from "../engine/ids.ts";
import { Followers } from "../engine/stream.ts";
import { DatabaseClock } from "../engine/timing.ts";
import { LiveTokens } from "../engine/tokens.ts";
import { Worker } from "../engine/worker.ts";
import type { Logger } from "../engine/worker-options.ts";
import { checkGateway } from "../gateway/check-config.ts";
import type { GatewayConfig } from "../gateway/config.ts";
import { Gateway } from "../gateway/gateway.ts";
import { type Database, openDatabase } from "../store/database.ts";
import { asUnavailable } from "../store/driver-errors.ts";
import { migrate } from "../store/migrate.ts";
import { preflight } from "../store/preflight.ts";
import { readQueues, readWorkers } from "../store/queue.ts";
import type { RetentionPolicy } from "../store/retention.ts";
import { freeWorker, sweep } from "../store/sweep.ts";
import { Admission } from "./admission.ts";
import type { Longhaul, Tenant } from "./api.ts";
import { BillingVerbs } from "./costs.ts";
import { answering, findAgent, type Installation } from "./installation.ts";
import { KeyVerbs } from "./keys.ts";
import { configuredPlans, declareLimits, declarePlans } from "./limits.ts";
import { alertChanges, loadReport, scaleReport } from "./load.ts";
import { PlanVerbs, wakeWorkers } from "./plans.ts";
import { Reads } from "./reads.ts";
import { type RetentionConfig, retentionPolicy } from "./retention.ts";
import { servedQueues } from "./served-queues.ts";
import { unfinishedCount } from "./setting-checks.ts";
import { type Neighbour, submitBatcher } from "./submit.ts";
import { TenantVerbs } from "./tenant.ts";
import { TenantsVerbs } from "./tenants.ts";
import { VERSION } from "./version.ts";

export interface WorkerSettings {
  /** Runs at the same time; they are asynchronous, so thousands are fine. Default 64. */
  readonly slots?: number;
  /** Default: the queues of the agents. `heavy:2` serves the queue `heavy` with at most two of the slots. */
  readonly queues?: readonly string[];
  /** How long steps in flight may take when the worker drains. Default 30 s. */
  readonly drainMs?: number;
  /** Default 10 s. Shorter leases are taken over sooner and cost more heartbeats. */
  readonly leaseMs?: number;
  /** How long the event loop may be blocked before its leases are let go. Default 30 s. */
  readonly stallMs?: number;
  /**
   * Kill this process when its event loop has been blocked that long, since nothing else ends a loop without end. For a process that
   * does nothing but run agents. Default false.
   */
  readonly endWhenStalled?: boolean;
  /** How often it looks by itself. Default 1 s. */
  readonly tickMs?: number;
  /** How often it looks for runs that are old enough to be dropped. Default 1 min. */
  readonly retentionEveryMs?: number;
  /** How long a waiting run's live function is kept for a quick answer. Default 5 s; 0: not at all. */
  readonly warmMs?: number;
  /** How long a cancelled or timed-out step may take to hear of it. Default 2 s. */
  readonly graceMs?: number;
  /** Starts a process that runs one suspicious run and nothing else. */
  readonly isolate?: (runId: string, workerId: string) => ChildProcess;
  /** The id under which this worker holds its leases. Default: a new one. */
  readonly workerId?: string;
  /** Run this one run and nothing else. */
  readonly onlyRun?: string;
}

export interface ConnectOptions {
  readonly agents?: readonly AnyAgent[];
  /** Default: `DATABASE_URL`; without one an embedded PostgreSQL in `dataDir`. */
  readonly url?: string;
  /** Default `.longhaul`. */
  readonly dataDir?: string;
  /** Default `longhaul`. */
  readonly schema?: string;
  /** The deployed version of the agents' code. Default `default`. */
  readonly build?: string;
  /** Run agents in this process. Default true when `agents` are given. */
  readonly worker?: boolean | WorkerSettings;
  /** What tenants may have, by the name of the plan. One that is not named stays what it is. */
  readonly plans?: Readonly<Record<string, PlanInput>> | undefined;
  /** Models: their providers, aliases, limits and prices. Default: the standard providers, with their keys from the environment. */
  readonly gateway?: GatewayConfig | undefined;
  /** Of the whole installation, held by every process that submits. */
  readonly limits?: {
    /** Runs that have not ended: from so many on submits are refused (SYSTEM_FULL). Default none. */ readonly unfinishedMax?:
      | number
      | undefined;
  };
  /** How long the worker of this process keeps runs after their end; `false`: it drops nothing. Default 30 days, failures 90. */
  readonly retention?: RetentionConfig | false;
  /** Bring the schema up to date first. Default true. */
  readonly migrate?: boolean;
  /** Connections. Default 10. */
  readonly connections?: number;
  readonly log?: Logger;
}

/**
 * Opens an installation.
 *
 * @throws CONFIG_INVALID, DATABASE_UNAVAILABLE, DATABASE_REFUSED, SCHEMA_TOO_NEW, EMBEDDED_UNSUPPORTED, AGENT_INVALID, DURATION_INVALID
 */
export async function connect(options: ConnectOptions = {}): Promise<LonghaulProcess> {
  const log: Logger = options.log ?? quiet;
  const url = options.url ?? process.env["DATABASE_URL"];
  if (url !== undefined && url !== "") checkUrl(url, options.url === undefined ? "DATABASE_URL" : "connect({ url })");
  const embedded =
    url === undefined || url === "" ? await startEmbedded({ dataDir: options.dataDir ?? ".longhaul" }) : null;
  const db = openDatabase({
    url: embedded?.url ?? (url as string),
    schema: options.schema,
    max: options.connections,
    onIdleError: (error) => log("warn", "an idle connection was lost", { reason: error.message }),
  });
  try {
    await checkServer(db, log);
    if (options.migrate !== false) await migrate(db);
    return await LonghaulProcess.open(db, options, log, async () => embedded?.stop());
  } catch (error) {
    await db.end();
    await embedded?.stop();
    throw asUnavailable(error);
  }
}

/** An open installation, with what only this process has: its worker and its own closing. */
export class LonghaulProcess extends TenantVerbs implements Longhaul {
  readonly agents: readonly AnyAgent[];
  /** Id of the worker in this process, or null. */
  readonly workerId: string | null;
  readonly keys: KeyVerbs;
  readonly plans: PlanVerbs;
  readonly tenants: TenantsVerbs;
  readonly gateway: Gateway;
  readonly billing: BillingVerbs;
  readonly database: Database;
  readonly #installation: Installation;
  readonly #worker: Worker | null;
  readonly #stopDatabase: () => Promise<unknown>;
  #closed: Promise<void> | null = null;

  private constructor(
    installation: Installation,
    worker: { id: string; worker: Worker } | null,
    stopDatabase: () => Promise<unknown>,
  ) {
    super(installation, "default");
    this.#installation = installation;
    this.keys = new KeyVerbs(installation);
    this.plans = new PlanVerbs(installation);
    this.tenants = new TenantsVerbs(installation);
    this.billing = new BillingVerbs(installation.db);
    this.#worker = worker?.worker ?? null;
    this.workerId = worker?.id ?? null;
    this.agents = [...installation.agents.values()];
    this.gateway = installation.gateway;
    this.database = installation.db;
    this.#stopDatabase = stopDatabase;
  }

  static async open(
    db: Database,
    options: ConnectOptions,
    log: Logger,
    stopDatabase: () => Promise<unknown>,
  ): Promise<LonghaulProcess> {
    const agents = byName(options.agents ?? []);
    const plans = configuredPlans(options.plans, (path) => `connect({ ${path} })`);
    const doorbell = new Doorbell(db);
    const tokens = new LiveTokens(
      db,
      (error) => log("warn", "tokens could not be written down", { error }),
      (runId) => doorbell.ring("tokens", runId),
    );
    const neighbour: Neighbour = { worker: null };
    const submits = submitBatcher(db, neighbour);
    const build = options.build ?? "default";
    const clock = new DatabaseClock();
    const settings = checkGateway(options.gateway, (path) => `connect({ ${path} })`);
    const wanted = options.worker ?? agents.size > 0;
    const patienceMs = typeof wanted === "object" ? (wanted.leaseMs ?? LEASE_MS) : LEASE_MS;
    const installation: Installation = {
      db,
      build,
      gateway: new Gateway({ db, settings, clock, log, patienceMs }),
      agents,
      doorbell,
      followers: new Followers(db, doorbell, tokens, (error) => log("error", "streams could not be read", { error })),
      tokens,
      submits,
      reads: new Reads(db),
      admission: new Admission(db, submits, checkUnfinishedMax(options.limits?.unfinishedMax)),
      clock,
      agent: (name) => findAgent(agents, name),
    };
    installation.gateway.batches.onTold = (runIds) => {
      for (const runId of runIds) {
        doorbell.ring("ready", runId);
        doorbell.ring("inbox", runId);
      }
    };
    installation.gateway.batches.declare(build, batchersOf(agents.values()), wanted !== false);
    await doorbell.open();
    if (await declarePlans(db, plans)) wakeWorkers(installation);
    if (wanted === false) return new LonghaulProcess(installation, null, stopDatabase);
    const chosen = wanted === true ? {} : wanted;
    const id = chosen.workerId ?? newId();
    await declareLimits(db, agents.values());
    const worker = makeWorker(installation, id, chosen, retentionPolicy(options.retention), log);
    await worker.start();
    neighbour.worker = worker;
    return new LonghaulProcess(installation, { id, worker }, stopDatabase);
  }

  tenant(tenantId: string): Tenant {
    return new TenantVerbs(this.#installation, tenantId);
  }

  async workers(): ReturnType<Longhaul["workers"]> {
    const rows = await answering(() => readWorkers(this.database));
    return rows.map(({ worker_id, started_at, seen_at, ...row }) => ({
      ...row,
      workerId: worker_id,
      startedAt: started_at.toISOString(),
      seenAt: seen_at.toISOString(),
    }));
  }

  async queues(): ReturnType<Longhaul["queues"]> {
    const rows = await answering(() => readQueues(this.database));
    return rows.map((row) => ({
      queue: row.queue,
      tenant: row.tenant_id,
      build: row.build,
      depth: row.depth,
      inFlight: row.in_flight,
      cap: row.cap === UNLIMITED ? null : row.cap,
      paused: row.paused,
      oldestMs: row.oldest_ms,
      workers: row.workers,
    }));
  }

  admission(): ReturnType<Longhaul["admission"]> {
    return answering(() => this.#installation.admission.view());
  }

  load({ tenant }: { readonly tenant?: string } = {}): ReturnType<Longhaul["load"]> {
    return answering(() => loadReport(this.database, tenant ?? null));
  }

  scale(options: Parameters<Longhaul["scale"]>[0] = {}): ReturnType<Longhaul["scale"]> {
    return answering(() => scaleReport(this.database, this.#installation.build, options));
  }

  alerts({ slaMs }: { readonly slaMs: number }): ReturnType<Longhaul["alerts"]> {
    return answering(() => alertChanges(this.database, slaMs));
  }

  async healthy(): Promise<boolean> {
    try {
      await this.database.query("select 1");
      return true;
    } catch {
      return false;
    }
  }

  /**
   * Lets the leases of a worker lapse at once, because it is known to be dead. Answers how many runs were taken from it.
   * `canIsolate`: a run that keeps dying may be set aside for a worker that tries it alone. Default: whether ours does.
   */
  async freeWorker(workerId: string, options: { readonly canIsolate?: boolean } = {}): Promise<number> {
    const freed = await answering(() => freeWorker(this.database, workerId));
    if (freed > 0) {
      await answering(() =>
        sweep(this.database, freed + 100, CRASHES_MAX, options.canIsolate ?? this.#worker?.canIsolate ?? false),
      );
      this.#installation.doorbell.ring("ready", workerId);
    }
    return freed;
  }

  /** Resolves when the worker of this process runs nothing. */
  async untilIdle(): Promise<void> {
    await this.#worker?.untilIdle();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#worker?.drain();
    this.keys.close();
    this.#installation.followers.close();
    await this.gateway.close();
    await this.#installation.tokens.close();
    await this.#installation.doorbell.close();
    await closeThreads();
    await this.database.end();
    await this.#stopDatabase();
  }
}

function checkUrl(url: string, place: string): void {
  const expected = expectedUrl(url);
  if (expected !== null) throw fail("CONFIG_INVALID", { place, problem: "it is no URL", fix: `Make it ${expected}.` });
}

function checkUnfinishedMax(given: number | undefined): number | null {
  if (given === undefined) return null;
  const checked = unfinishedCount(given);
  if ("value" in checked) return checked.value;
  throw fail("CONFIG_INVALID", {
    place: "connect({ limits.unfinishedMax })",
    problem: `${String(given)} is not ${checked.expected}`,
    fix: `Make it ${checked.expected}, or remove it.`,
  });
}

/** What would make a promise untrue is refused or said loudly before anything is acknowledged (invariants 4 and 6). */
async function checkServer(db: Database, log: Logger): Promise<void> {
  for (const found of await preflight(db)) {
    if (found.ok) continue;
    const { check, value, hint } = found;
    if (found.level === "error" && process.env["LONGHAUL_ALLOW_UNSAFE"] !== "1")
      throw fail("SERVER_UNSAFE", { check, value, hint });
    log("warn", `PostgreSQL: ${check} is ${value}`, { hint });
  }
}

const UNLIMITED = 2_147_483_647;
const CRASHES_MAX = 2;

function makeWorker(
  installation: Installation,
  workerId: string,
  settings: WorkerSettings,
  retention: RetentionPolicy | null,
  log: Logger,
): Worker {
  const served = servedQueues(
    settings.queues ?? ["default", ...[...installation.agents.values()].map((agent) => agent.queue)],
  );
  return new Worker({
    db: installation.db,
    doorbell: installation.doorbell,
    tokens: installation.tokens,
    programs: new Map(
      [...installation.agents.values()].map((agent) => [agent.name, toProgram(agent, installation.gateway)]),
    ),
    workerId,
    version: VERSION,
    build: installation.build,
    queues: [...served.keys()],
    queueSlots: new Map([...served].flatMap(([queue, slots]) => (slots === null ? [] : [[queue, slots] as const]))),
    slots: settings.slots ?? WORKER_SLOTS_DEFAULT,
    leaseMs: settings.leaseMs ?? LEASE_MS,
    drainMs: settings.drainMs ?? DRAIN_MS,
    stallMs: settings.stallMs ?? STALL_MS,
    endWhenStalled: settings.endWhenStalled ?? false,
    tickMs: settings.tickMs ?? 1_000,
    warmMs: settings.warmMs ?? 5_000,
    warmMax: settings.warmMs === 0 ? 0 : 1_000,
    settings: { holdMs: 250, graceMs: settings.graceMs ?? 2_000, mismatchGraceMs: 1_000 },
    retention,
    retentionEveryMs: settings.retentionEveryMs ?? RETENTION_EVERY_MS,
    isolate: settings.isolate ?? null,
    onlyRun: settings.onlyRun ?? null,
    log,
  });
}

function byName(agents: readonly AnyAgent[]): Map<string, AnyAgent> {
  const map = new Map<string, AnyAgent>();
  for (const agent of agents) {
    if (map.has(agent.name))
      throw fail("AGENT_INVALID", { agent: agent.name, problem: "another agent has the same name" });
    map.set(agent.name, agent);
  }
  return map;
}

function quiet(level: string, message: string, fields?: Record<string, unknown>): void {
  if (level === "error") console.error(`longhaul: ${message}`, fields ?? "");
}
