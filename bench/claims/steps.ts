// What a step costs: statements, log bytes, latency, and how many go through in a second.
import type { Claim, Measure } from "../lab/claim.ts";
import { BARE, contest, LONGHAUL, loops, slope } from "../systems/contest.ts";

export const steps: Claim = {
  name: "steps",
  sentence: "A durable step is one statement, a tenth of one under load, and hardly slower than a bare fenced insert",
  measure: (lab) =>
    contest(lab, [BARE, LONGHAUL], async (contestants) => {
      const measures: Measure[] = [];
      const longhaul = contestants[1];
      if (longhaul === undefined) throw new Error("no contestant");
      const rounds = lab.size(7, 2);
      lab.say("one run, step after step");
      const [bare, alone] = await loops(contestants, 1, lab.size(300, 50), rounds);
      if (bare === undefined || alone === undefined) throw new Error("no figures");
      measures.push(
        {
          what: "one step, one run, p50",
          value: alone.p50Ms,
          unit: "ms",
          baseline: { what: "bare fenced insert", value: bare.p50Ms },
          bar: { of: "ratio", at: "most", limit: 2 },
        },
        {
          what: "one step, one run, p99",
          value: alone.p99Ms,
          unit: "ms",
          baseline: { what: "bare fenced insert", value: bare.p99Ms },
        },
        {
          what: "steps per second, 1 run",
          value: alone.stepsPerSecond,
          unit: "1/s",
          baseline: { what: "bare fenced insert", value: bare.stepsPerSecond },
        },
      );
      for (const runs of [20, 64]) {
        lab.say(`${runs} runs at once`);
        const [floor, many] = await loops(contestants, runs, lab.size(150, 20), rounds);
        if (floor === undefined || many === undefined) throw new Error("no figures");
        measures.push({
          what: `steps per second, ${runs} runs`,
          value: many.stepsPerSecond,
          unit: "1/s",
          baseline: { what: "bare fenced inserts, one by one", value: floor.stepsPerSecond },
          ...(runs === 64 ? { bar: { of: "value", at: "least", limit: 10_000 } as const } : {}),
        });
      }
      for (const runs of [1, 64]) {
        lab.say(`counting statements, ${runs === 1 ? "one run" : `${runs} runs`}`);
        const { statements, walBytes } = await slope(lab, longhaul, runs, 10, lab.size(runs === 1 ? 510 : 110, 60));
        const at = runs === 1 ? "1 run" : `${runs} runs`;
        measures.push(
          {
            what: `statements per step, ${at}`,
            value: statements,
            unit: "",
            bar: { of: "value", at: "most", limit: runs === 1 ? 1.005 : 0.1 },
            note: COUNTED,
          },
          {
            what: `log (WAL) per step, ${at}`,
            value: walBytes,
            unit: "B",
            bar: { of: "value", at: "most", limit: 750 },
            note: COUNTED,
          },
        );
      }
      return measures;
    }),
};

const COUNTED =
  "pg_stat_statements and WAL position, difference between long and short runs; everything the process sends counts";
