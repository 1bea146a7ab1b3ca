// Where points of one workload are tried, one after the other: a database with guards, the proxy before it, and the world outside.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectOptions, connect } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import type { Database } from "../../src/store/database.ts";
import { untilAnswered } from "../../src/store/patience.ts";
import { installGuards } from "../support/guards.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { DatabaseProxy } from "./proxy.ts";
import { acknowledge, witness } from "./witness.ts";
import type { OnBody, Workload } from "./workloads.ts";

/** Of the victim: short, because points wait for it to lapse; long enough that a loaded machine does not lose it by itself. */
export const LEASE_MS = 1_500;

function gatewayOf({ gateway }: Workload, onBody: OnBody): Pick<ConnectOptions, "gateway"> {
  return gateway === undefined ? {} : { gateway: gateway(onBody) };
}

export class Arena {
  readonly workload: Workload;
  readonly proxy: DatabaseProxy;
  readonly outside: LonghaulProcess;
  readonly #fresh: FreshDatabase;
  readonly #folder: string;
  #files = 0;

  private constructor(workload: Workload, fresh: FreshDatabase, proxy: DatabaseProxy, outside: LonghaulProcess) {
    this.workload = workload;
    this.#fresh = fresh;
    this.proxy = proxy;
    this.outside = outside;
    this.#folder = mkdtempSync(join(tmpdir(), "longhaul-crash-"));
  }

  static async open(workload: Workload): Promise<Arena> {
    const fresh = await freshDatabase({ max: 4 });
    await installGuards(fresh.db);
    await fresh.db.query("create table tallies (run_id uuid not null, step text not null)");
    const agents = workload.agents(() => undefined);
    const models = gatewayOf(workload, () => undefined);
    const outside = await connect({ url: fresh.url, agents, worker: false, migrate: false, connections: 3, ...models });
    return new Arena(workload, fresh, await DatabaseProxy.start(fresh.url), outside);
  }

  get db(): Database {
    return this.#fresh.db;
  }

  /** A file for the witness of one point. */
  nextFile(): string {
    this.#files += 1;
    return join(this.#folder, `witness-${this.#files}.jsonl`);
  }

  /** Another worker, without the proxy, in this process. Bodies that it starts wait for `gate`. */
  rescuer(file: string, gate: (step: string) => Promise<void> | void): Promise<LonghaulProcess> {
    const onBody = async (step: string): Promise<void> => {
      witness(file, step);
      await gate(step);
    };
    return connect({
      url: this.#fresh.url,
      agents: this.workload.agents(onBody),
      ...gatewayOf(this.workload, onBody),
      worker: { tickMs: 50, warmMs: this.workload.warmMs, graceMs: 150, drainMs: 100 },
      migrate: false,
      connections: 4,
    });
  }

  /** Gives the runs that were taken in. */
  async submit(file: string): Promise<string[]> {
    const runIds: string[] = [];
    await this.workload.submit(this.outside, (ack, runId) => {
      runIds.push(runId);
      acknowledge(file, { ack, runId });
    });
    return runIds;
  }

  /** What a supervisor does that sees its worker die. */
  async freeDead(): Promise<void> {
    const dead = await this.db.query<{ worker_id: string }>("select worker_id from longhaul.workers");
    for (const { worker_id } of dead) await this.outside.freeWorker(worker_id);
  }

  /** True when runs were taken in and all of them have ended. */
  async over(): Promise<boolean> {
    const [row] = await this.db.query<{ over: boolean }>(
      `select not exists (select from longhaul.live) and not exists (select from longhaul.intake)
         and exists (select from longhaul.outcomes) as over`,
    );
    return row?.over ?? false;
  }

  /** Forgets everything, so that the next point starts as the first one did. */
  async reset(): Promise<void> {
    const tables = await this.db.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
        where (schemaname = 'longhaul' and tablename not in ('schema_migrations', 'plans', 'agents')) or tablename in ('tallies', 'left_live')`,
    );
    // A victim's last statement may be under way in the server, and lock them in another order.
    await untilAnswered(() => this.db.query(`truncate ${tables.map(({ name }) => name).join(", ")} restart identity`));
  }

  async close(): Promise<void> {
    await this.outside.close();
    await this.proxy.close();
    await this.#fresh.drop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
