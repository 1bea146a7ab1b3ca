// Taking runs in: sixteen clients at once, in batches and one by one.
import { agent, connect } from "../../src/index.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import { median } from "../lab/statistics.ts";
import { makeBare, submitBare } from "../queue/bare.ts";
import { seconds, spread, tenantNames, together } from "../queue/crowd.ts";
import { AGENT, openStore, submit, tidy } from "../queue/store.ts";

const CLIENTS = 16;
const TENANTS = tenantNames(100);

export const queueSubmit: Claim = {
  name: "queue-submit",
  sentence: "25,000 runs per second are taken in by batches of 100, 3,000 one by one, each durable when acknowledged",
  async measure(lab) {
    const ours = await lab.database();
    const floor = await lab.database({ migrated: false });
    const [us, bare] = [openStore(ours.url, CLIENTS), openStore(floor.url, CLIENTS)];
    await makeBare(bare);
    const rounds = lab.size(5, 1);
    // A batch comes from one tenant, as over HTTP; one of many tenants waits for every other such batch.
    const into = {
      us: (count: number, from: number) =>
        submit(us, spread(count, [TENANTS[(from / count) % TENANTS.length] as string])),
      mixed: (count: number, from: number) => submit(us, spread(count, TENANTS, from)),
      bare: (count: number) => submitBare(bare, count),
    };
    // As a program and the HTTP server submit: what comes while a statement is under way goes with the next one.
    const trivial = agent({ name: AGENT, run: () => null });
    const longhaul = await connect({ url: ours.url, agents: [trivial], worker: false, connections: CLIENTS });
    const verb = async (_count: number, from: number) =>
      void (await longhaul.tenant(TENANTS[from % TENANTS.length] as string).submit(trivial, null));
    // Lanes and connections are there before anything counts.
    await rate(into.mixed, CLIENTS * 100, 100);
    const measures: Measure[] = [];
    for (const [batch, runs, limit] of [
      [100, lab.size(40_000, 3_200), 25_000],
      [1, lab.size(6_000, 320), 3_000],
    ] as const) {
      lab.say(`${runs} runs in batches of ${batch}, in turns with a bare queue`);
      const found = { us: [] as number[], mixed: [] as number[], verb: [] as number[], bare: [] as number[] };
      for (let round = 0; round < rounds; round++) {
        found.us.push(await rate(into.us, runs, batch));
        found.bare.push(await rate(into.bare, runs, batch));
        if (batch > 1) found.mixed.push(await rate(into.mixed, runs, batch));
        else found.verb.push(await rate(verb, runs, batch));
        await tidy(us);
      }
      measures.push(figure(batch, limit, median(batch > 1 ? found.us : found.verb), median(found.bare)));
      if (batch > 1)
        measures.push({
          what: `the same, each batch of ${TENANTS.length} tenants`,
          value: median(found.mixed),
          unit: "runs/s",
        });
      else
        measures.push({ what: "the same, a statement and a commit for each", value: median(found.us), unit: "runs/s" });
    }
    await longhaul.close();
    await Promise.all([us.end(), bare.end()]);
    await Promise.all([ours.drop(), floor.drop()]);
    return measures;
  },
};

/** Runs per second taken in by all clients together. */
async function rate(
  submitBatch: (count: number, from: number) => Promise<void>,
  runs: number,
  batch: number,
): Promise<number> {
  let submitted = 0;
  const took = await seconds(() =>
    together(CLIENTS, async () => {
      while (submitted < runs) {
        submitted += batch;
        await submitBatch(batch, submitted);
      }
    }),
  );
  return submitted / took;
}

function figure(batch: number, limit: number, value: number, bare: number): Measure {
  return {
    what: batch === 1 ? `submit one by one, ${CLIENTS} clients` : `submit in batches of ${batch}, ${CLIENTS} clients`,
    value,
    unit: "runs/s",
    baseline: { what: "inserting a job into a queue of two tables", value: bare },
    bar: { of: "value", at: "least", limit },
    note:
      batch === 1
        ? `${TENANTS.length} tenants; 16 callers of submit() in one process, each waits for its answer`
        : `${TENANTS.length} tenants, each batch of one of them`,
  };
}
