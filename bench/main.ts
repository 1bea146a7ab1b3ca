// The benchmarks: `npm run bench` measures every claim, `npm run bench -- steps idle` only these.
import { parseArgs } from "node:util";
import { VERSION } from "../src/runtime/version.ts";
import { claims } from "./claims/catalogue.ts";
import { type Claim, holds, type Measure } from "./lab/claim.ts";
import { type OpenLab, openLab } from "./lab/lab.ts";
import { keep, table } from "./lab/report.ts";

const USAGE = `npm run bench                     every claim but soak, most of an hour
npm run bench -- <claim> …        only these
npm run bench -- --quick          small sizes, for a look; nothing is kept
npm run bench -- --strict         exit code 1 when a bar is missed
npm run bench -- --list           the claims`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    strict: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

async function measure(lab: OpenLab, claim: Claim): Promise<readonly Measure[]> {
  console.log(`\n${claim.name}: ${claim.sentence}`);
  const startedMs = performance.now();
  const measures = await claim.measure(lab);
  console.log(`\n${table(measures)}`);
  for (const note of new Set(measures.map(({ note }) => note))) if (note !== undefined) console.log(`  (${note})`);
  if (!lab.quick) keep(claim, lab.machine, VERSION, measures, performance.now() - startedMs);
  return measures;
}

async function main(): Promise<number> {
  if (values.help) console.log(USAGE);
  else if (values.list) for (const claim of claims) console.log(`${claim.name.padEnd(16)} ${claim.sentence}`);
  if (values.help || values.list) return 0;
  const unknown = positionals.filter((name) => !claims.some((claim) => claim.name === name));
  if (unknown.length > 0) {
    console.error(`No claim ${unknown.join(", ")}. Claims: ${claims.map(({ name }) => name).join(", ")}`);
    return 1;
  }
  const lab = await openLab(values.quick);
  const { cpu, cores, postgres, node, fdatasyncMs, loadBefore } = lab.machine;
  console.log(
    `${cores} × ${cpu}, Node ${node}, PostgreSQL ${postgres} embedded, fsync on (${fdatasyncMs} ms), load ${loadBefore}`,
  );
  const missed: string[] = [];
  try {
    for (const claim of claims) {
      if (positionals.length === 0 ? claim.onRequest : !positionals.includes(claim.name)) continue;
      for (const one of await measure(lab, claim)) if (holds(one) === false) missed.push(`${claim.name}: ${one.what}`);
    }
  } finally {
    await lab.close();
  }
  console.log(missed.length === 0 ? "\nEvery bar holds." : `\nMissed: ${missed.join("; ")}`);
  return values.strict && missed.length > 0 ? 1 : 0;
}

process.exitCode = await main();
