// Runs the test suite with every supported line of Node, each installed from npm into a cache folder.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { build } from "./build.mjs";
import { binary, npm, run } from "./processes.mjs";

const LINES = ["20", "22", "24"];
const PROGRAM = process.platform === "win32" ? "node.exe" : "node";

/** Gives the exit code: 0 if the suite passes with each. Arguments are filters for vitest. */
export async function matrix(args) {
  if ((await build()) !== 0) return 1;
  const rows = [];
  for (const line of LINES) {
    const program = await install(line);
    if (program === undefined) {
      rows.push({ node: line, result: "could not be installed", seconds: 0 });
      continue;
    }
    const version = execFileSync(program, ["--version"], { encoding: "utf8" }).trim();
    console.log(`\n── Tests with Node ${version} ──`);
    const startedAt = performance.now();
    // Programs that the tests start by name must be the same Node.
    const env = { ...process.env, PATH: `${dirname(program)}${delimiter}${process.env.PATH ?? ""}` };
    const code = await run(program, [binary("vitest"), "run", ...args], { env });
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    rows.push({ node: version, result: code === 0 ? "passed" : "failed", seconds });
  }
  console.table(rows);
  return rows.every(({ result }) => result === "passed") ? 0 : 1;
}

/** The path of a Node of this line, installed if it is not in the cache yet; undefined if that fails. */
async function install(line) {
  const folder = join(tmpdir(), "longhaul-node", line);
  const candidates = ["node", `node-${process.platform.replace("win32", "win")}-${process.arch}`];
  for (const name of candidates) {
    const program = join(folder, "node_modules", name, "bin", PROGRAM);
    if (existsSync(program)) return program;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{ "private": true }');
    console.log(`\n── Installing Node ${line} ──`);
    // The package "node" fetches its program in an install script; where those are blocked, the second one has it inside.
    await npm(["install", `${name}@${line}`, "--no-audit", "--no-fund"], { cwd: folder });
    if (existsSync(program)) return program;
  }
  return undefined;
}
