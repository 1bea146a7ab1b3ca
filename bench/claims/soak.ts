// Whether it stays as it is: trivial runs at full speed for half an hour, dropped a moment after their end; in the second half while
// somebody holds an old snapshot, so that no dead row can be removed; then once more without.
import pg from "pg";
import { agent, connect } from "../../src/index.ts";
import { type Database, openDatabase } from "../../src/store/database.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import { median } from "../lab/statistics.ts";
import { pause } from "../lab/until.ts";
import { type Leg, leg, type Sample, speed } from "./soak-watch.ts";
import { BenchWorker } from "./worker.ts";

const WORKERS = 2;
const AT_ONCE = 500;
/** Runs that are waiting or running at any moment. */
const DEPTH = 2_000;
const RETENTION = { keepMs: 2_000, everyMs: 500 };

export const soak: Claim = {
  name: "soak",
  sentence: "Tables, indexes and throughput stay the same for half an hour, and recover when an old snapshot is let go",
  onRequest: true,
  async measure(lab) {
    const minutes = lab.size(12, 0.5);
    const fresh = await lab.database();
    const db = openDatabase({ url: fresh.url, max: 2, applicationName: "longhaul-bench" });
    const workers = await Promise.all(
      Array.from({ length: WORKERS }, () => BenchWorker.start(fresh.url, undefined, RETENTION)),
    );
    const load = await startLoad(fresh.url, db);
    // Processes compile their code, tables find their size.
    await pause(lab.size(60_000, 5_000));
    lab.say(`${minutes} min at full speed`);
    const free = await leg(db, minutes);
    lab.say(`${minutes} min while a snapshot is held`);
    const holder = new pg.Client({ connectionString: fresh.url, application_name: "holder" });
    await holder.connect();
    await holder.query("begin isolation level repeatable read; select count(*) from longhaul.live");
    const held = await leg(db, minutes);
    await holder.query("rollback");
    await holder.end();
    lab.say(`${minutes / 2} min after it has been let go`);
    await pause(lab.size(60_000, 5_000));
    const after = await leg(db, minutes / 2);
    await load.stop();
    for (const worker of workers) await worker.close();
    await db.end();
    await fresh.drop();
    return report(free, held, after);
  },
};

/** Submits as fast as the workers finish. */
async function startLoad(url: string, db: Database): Promise<{ stop(): Promise<void> }> {
  const nothing = agent({ name: "nothing", run: () => null });
  const client = await connect({ url, agents: [nothing], worker: false });
  let going = true;
  const running = (async () => {
    while (going) {
      // From the counter: to count rows is to read the dead ones too.
      const [row] = await db.query<{ n: number }>("select sum(unfinished)::int as n from longhaul.tenants");
      if ((row?.n ?? 0) >= DEPTH) await pause(10);
      else await Promise.all(Array.from({ length: AT_ONCE }, () => client.submit(nothing, null)));
    }
  })();
  return {
    stop: async () => {
      going = false;
      await running;
      await client.close();
    },
  };
}

function report(free: Leg, held: Leg, after: Leg): Measure[] {
  const [first, middle, last] = free;
  const recovered = after[2];
  const size = (samples: readonly Sample[]): number => median(samples.map((one) => one.hotBytes)) / 2 ** 20;
  const whole = (samples: readonly Sample[]): number => median(samples.map((one) => one.allBytes)) / 2 ** 20;
  const dead = (samples: readonly Sample[]): number => median(samples.map((one) => one.dead));
  const flat = { of: "ratio", at: "most", limit: 1.2 } as const;
  const steady = { of: "ratio", at: "least", limit: 0.9 } as const;
  const before = "middle third";
  return [
    {
      what: "runs per second, last third",
      value: speed(last),
      unit: "1/s",
      baseline: { what: "first third", value: speed(first) },
      bar: steady,
    },
    {
      what: "hot tables and indexes, last third",
      value: size(last),
      unit: "MB",
      baseline: { what: before, value: size(middle) },
      bar: flat,
    },
    {
      what: "all tables and indexes, last third",
      value: whole(last),
      unit: "MB",
      baseline: { what: before, value: whole(middle) },
      bar: flat,
    },
    {
      what: "dead rows in hot tables, last third",
      value: dead(last),
      unit: "",
      baseline: { what: before, value: dead(middle) },
    },
    {
      what: "runs per second, snapshot held, last third",
      value: speed(held[2]),
      unit: "1/s",
      baseline: { what: "free", value: speed(last) },
      note: HELD,
    },
    {
      what: "hot tables and indexes, snapshot held, at the end",
      value: size(held[2].slice(-5)),
      unit: "MB",
      baseline: { what: "free", value: size(last) },
      note: HELD,
    },
    {
      what: "dead rows in hot tables, snapshot held, at the end",
      value: dead(held[2].slice(-5)),
      unit: "",
      baseline: { what: "free", value: dead(last) },
      note: HELD,
    },
    {
      what: "runs per second, after it",
      value: speed(recovered),
      unit: "1/s",
      baseline: { what: "free", value: speed(last) },
      bar: steady,
    },
    {
      what: "dead rows in hot tables, after it",
      value: dead(recovered),
      unit: "",
      baseline: { what: "free", value: dead(last) },
      bar: flat,
    },
    {
      what: "hot tables and indexes, after it, last third",
      value: size(recovered),
      unit: "MB",
      baseline: { what: "its first third", value: size(after[0]) },
      bar: flat,
      note: KEPT,
    },
  ];
}

const HELD =
  "while a REPEATABLE READ transaction is open in another session: no dead row can be removed, whoever wrote the queue";
const KEPT = "files keep the size that they had when the snapshot was let go, and fill it again from inside";
