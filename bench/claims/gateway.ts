// What /v1/chat/completions adds to a call of a provider, and how many calls a server takes; beside a gateway that only passes them on.
import { type Between, longhaul, nobody, portkey } from "../gateway/gateways.ts";
import type { CallTimes, Done, LoadNews, LoadOrder } from "../gateway/load-program.ts";
import type { UpstreamNews } from "../gateway/upstream-program.ts";
import { Child } from "../lab/child.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";
import { installPeers } from "../lab/packages.ts";
import { median, percentile } from "../lab/statistics.ts";

const UPSTREAM_MS = 20;
const PER_SECOND = 100;
const CONNECTIONS = 64;
const RATE = `${PER_SECOND} calls/s`;

type Load = Child<LoadOrder, LoadNews>;

/** What was found between client and provider, round by round. */
interface Found {
  readonly between: Between;
  readonly whole: CallTimes[];
  readonly streamed: CallTimes[];
  readonly perSecond: number[];
  readonly statements: number[];
  failed: number;
}

export const gateway: Claim = {
  name: "gateway",
  sentence: "A call through /v1 takes at most 3 ms longer, 10 ms at p99, limits, budget and records included",
  async measure(lab) {
    const provider = new Child<never, UpstreamNews>(
      "upstream",
      new URL("../gateway/upstream-program.ts", import.meta.url),
      {
        BENCH_LATENCY_MS: String(UPSTREAM_MS),
      },
    );
    const load: Load = new Child("load", new URL("../gateway/load-program.ts", import.meta.url), {});
    const all: Between[] = [];
    try {
      const { url } = await provider.heard("ready");
      await load.heard("ready");
      all.push(nobody(url), await longhaul(lab, url));
      if (installPeers(lab.say)) all.push(await portkey(url));
      for (const between of all) between.pause();
      const [direct, ...gateways] = await takeTurns(lab, load, all);
      return direct === undefined ? [] : [...plain(direct), ...gateways.flatMap((found) => figures(direct, found))];
    } finally {
      for (const between of all) await between.close();
      await load.close();
      await provider.close();
    }
  },
};

async function takeTurns(lab: Lab, load: Load, all: readonly Between[]): Promise<Found[]> {
  const found = all.map(
    (between): Found => ({ between, whole: [], streamed: [], perSecond: [], statements: [], failed: 0 }),
  );
  const rounds = lab.size(3, 1);
  // The first round warms up and does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const one of found) {
      lab.say(`${one.between.name} (${round})`);
      one.between.resume();
      try {
        const seen = await turn(lab, load, one.between, round === 0);
        if (round === 0) continue;
        one.whole.push(seen.whole);
        one.streamed.push(seen.streamed);
        one.perSecond.push(seen.perSecond);
        one.statements.push(seen.statements);
        one.failed += seen.failed;
      } finally {
        one.between.pause();
      }
    }
  }
  return found;
}

async function turn(
  lab: Lab,
  load: Load,
  { url, model, headers, databaseUrl }: Between,
  isWarmUp: boolean,
): Promise<{ whole: CallTimes; streamed: CallTimes; perSecond: number; statements: number; failed: number }> {
  const calls = { url, model, headers, stream: false };
  const seconds = lab.size(10, 2);
  const warmUp: LoadOrder = { type: "connections", calls, connections: CONNECTIONS, seconds: isWarmUp ? seconds : 0.5 };
  await ask(load, warmUp);
  const sent = async (): Promise<number> =>
    databaseUrl === null ? Number.NaN : (await lab.counters(databaseUrl)).statements;
  const rate = { type: "rate", perSecond: PER_SECOND, count: PER_SECOND * seconds } as const;
  const before = await sent();
  const whole = await ask(load, { ...rate, calls });
  const statements = ((await sent()) - before) / rate.count;
  const streamed = await ask(load, { ...rate, calls: { ...calls, stream: true } });
  const many = await ask(load, { ...warmUp, seconds });
  const all = [whole, streamed, many];
  for (const { failure } of all) if (failure !== null) lab.say(`a call failed: ${failure}`);
  return {
    whole: whole.times,
    streamed: streamed.times,
    perSecond: many.perSecond,
    statements,
    failed: all.reduce((sum, { failed }) => sum + failed, 0),
  };
}

async function ask(load: Load, order: LoadOrder): Promise<Done> {
  load.send(order);
  return load.heard("done");
}

/** The baseline: what the provider takes by itself. */
function plain(direct: Found): Measure[] {
  const note = `direct: ${direct.between.does}; the provider answers after ${UPSTREAM_MS} ms`;
  const p50 = median(direct.whole.map(({ last }) => percentile(last, 0.5)));
  const p99 = median(direct.whole.map(({ last }) => percentile(last, 0.99)));
  return [
    { what: `a call at ${RATE}, p50, direct`, value: p50, unit: "ms", note },
    { what: `a call at ${RATE}, p99, direct`, value: p99, unit: "ms" },
    { what: `calls per second, ${CONNECTIONS} connections, direct`, value: median(direct.perSecond), unit: "1/s" },
  ];
}

function figures(direct: Found, found: Found): Measure[] {
  const { name, does, databaseUrl } = found.between;
  const isOurs = databaseUrl !== null;
  const bar = (at: "most" | "least", limit: number): Pick<Measure, "bar"> =>
    isOurs ? { bar: { of: "value", at, limit } } : {};
  const added = (which: "whole" | "streamed", what: "first" | "last", part: number): number =>
    median(
      found[which].map(
        (times, round) => percentile(times[what], part) - percentile(direct[which][round]?.[what] ?? [], part),
      ),
    );
  const measure = (what: string, value: number, limit?: number): Measure => ({
    what: `${what}, ${name}`,
    value,
    unit: "ms",
    ...(limit === undefined ? {} : bar("most", limit)),
  });
  return [
    { ...measure(`added to a call at ${RATE}, p50`, added("whole", "last", 0.5), 3), note: `${name}: ${does}` },
    measure(`added to a call at ${RATE}, p99`, added("whole", "last", 0.99), 10),
    measure(`added to the first word of a stream, ${RATE}, p50`, added("streamed", "first", 0.5), 3),
    measure(`added to the first word of a stream, ${RATE}, p99`, added("streamed", "first", 0.99), 10),
    measure(`added to a whole stream, ${RATE}, p50`, added("streamed", "last", 0.5)),
    measure(`added to a whole stream, ${RATE}, p99`, added("streamed", "last", 0.99)),
    {
      what: `calls per second, ${CONNECTIONS} connections, ${name}`,
      value: median(found.perSecond),
      unit: "1/s",
      baseline: { what: "direct", value: median(direct.perSecond) },
      ...bar("least", 500),
    },
    { what: `calls that failed, ${name}`, value: found.failed, unit: "", ...bar("most", 0) },
    ...(isOurs ? [{ what: `statements per call at ${RATE}, ${name}`, value: median(found.statements), unit: "" }] : []),
  ];
}
