// The whole check: style, types, direction of imports, build, then the tests. With arguments: only the tests they name.
import { build } from "./build.mjs";
import { binary, node } from "./processes.mjs";

const tool = (packageName, command, args) => () => node([binary(packageName, command), ...args]);

const stages = [
  ["Style and lint (biome)", tool("@biomejs/biome", "biome", ["check", "--error-on-warnings", "."])],
  ["Types (tsc)", tool("typescript", "tsc", ["--noEmit"])],
  ["Direction of imports (dependency-cruiser)", tool("dependency-cruiser", "depcruise", ["src"])],
  ["Build", build],
];

/** Gives the exit code. All stages run, whatever fails, so that one run shows everything; vitest's summary comes last. */
export async function test(args) {
  if (args.length > 0) return await vitest(args);
  const failed = [];
  for (const [title, stage] of stages) {
    const startedAt = performance.now();
    console.log(`\n── ${title} ──`);
    if ((await stage()) !== 0) failed.push(title);
    console.log(
      `   ${failed.includes(title) ? "failed" : "passed"} in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`,
    );
  }
  console.log("\n── Tests (vitest) ──");
  const code = await vitest([]);
  if (failed.length > 0) console.error(`\nFailed before the tests: ${failed.join("; ")}`);
  return failed.length > 0 ? 1 : code;
}

function vitest(args) {
  return node([binary("vitest"), "run", ...args]);
}
