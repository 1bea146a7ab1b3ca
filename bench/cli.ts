// How long the built program takes before it says anything: run with `npx tsx bench/cli.ts` after a build, prints milliseconds.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROUNDS = 21;
const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
if (!existsSync(main)) throw new Error("There is no dist/: run npm run build first");

function milliseconds(args: readonly string[]): number[] {
  const times = Array.from({ length: ROUNDS }, () => {
    const startedAt = performance.now();
    spawnSync(process.execPath, args, { stdio: "ignore" });
    return performance.now() - startedAt;
  });
  return times.sort((a, b) => a - b);
}

const cases: Readonly<Record<string, readonly string[]>> = {
  "node alone": ["-e", "0"],
  "longhaul --version": [main, "--version"],
  "longhaul --help": [main, "--help"],
  "longhaul runs submit --help": [main, "runs", "submit", "--help"],
  "longhaul version": [main, "version"],
};

for (const [name, args] of Object.entries(cases)) {
  const times = milliseconds(args);
  const median = times[Math.floor(ROUNDS / 2)] ?? 0;
  console.log(`${name.padEnd(28)}  fastest ${(times[0] ?? 0).toFixed(0)} ms  median ${median.toFixed(0)} ms`);
}
