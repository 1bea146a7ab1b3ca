// Every crash point of every workload, or those that are named: `npm run test:crash -- plain:kill-before:17 waits retry:cut`.
import { parseArgs } from "node:util";
import { buildPrograms } from "../support/built.ts";
import { announce, startTestPostgres } from "../support/postgres.ts";
import { enumerate } from "./enumerate.ts";

const USAGE = `Usage: npm run test:crash [-- [--lanes n] [--list] [point | workload | workload:mode]...]

Tries every crash point: a workload, a mode (kill, cut, outage, freeze, zombie; before or after) and one of the worker's requests
to the database. Names are stable: a point that failed is tried again by its name, for example plain:kill-before:17.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    lanes: { type: "string", default: "4" },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(USAGE);
  process.exit(0);
}

await buildPrograms();
const server = await startTestPostgres();
announce(server);
try {
  const lanes = Math.max(1, Number(values.lanes));
  const { points, missed, failed } = await enumerate({ lanes, only: positionals, list: values.list, say: console.log });
  if (points === 0) {
    console.error(`Nothing is named ${positionals.join(", ")}.\n\n${USAGE}`);
    process.exitCode = 1;
  } else if (failed.length > 0 || missed > points / 10) process.exitCode = 1;
} finally {
  await server.stop();
}
