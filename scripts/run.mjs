// Runs a task of this repository on a fresh clone with nothing but Node and git: dependencies first, then the task.
import { join } from "node:path";
import { ensureDependencies } from "./dependencies.mjs";
import { root, runScript } from "./processes.mjs";

/** A TypeScript program, run without building. */
const program =
  (file, ...fixed) =>
  (args) =>
    runScript(file, [...fixed, ...args]);

/** A measurement: run as the build would make it. */
const measurement =
  (...fixed) =>
  (args) =>
    runScript("bench/main.ts", [...fixed, ...args], join(root, "bench", "lab", "typescript.mjs"));

/** Name of the task → what it does with the arguments; each gives the exit code. */
const tasks = {
  bench: measurement(),
  build: async () => (await import("./build.mjs")).build(),
  demo: program("examples/demo/main.ts"),
  "demo:async": measurement("async-agents"),
  errors: program("scripts/write-errors.ts"),
  reference: program("scripts/write-reference.ts"),
  schema: program("scripts/write-schema.ts"),
  start: program("src/cli/main.ts", "start"),
  test: async (args) => (await import("./test.mjs")).test(args),
  "test:crash": program("test/crash/main.ts"),
  "test:matrix": async (args) => (await import("./matrix.mjs")).matrix(args),
  "test:mutants": program("test/mutants/main.ts"),
};

const [name = "", ...args] = process.argv.slice(2);
const task = tasks[name];
if (task === undefined) {
  console.error(`No task "${name}". Tasks: ${Object.keys(tasks).join(", ")}`);
  process.exit(1);
}
process.chdir(root);
if (!(await ensureDependencies())) process.exit(1);
process.exitCode = await task(args);
