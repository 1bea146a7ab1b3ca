// Puts each known bug into a copy of the package and runs the test that must tell: `npm run test:mutants [-- word in a name...]`.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MUTANTS, type Mutant } from "./mutants.ts";
import { runTests, type TestResult } from "./run-tests.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** What the tests of the engine need; the rest of the repository stays away. */
const PARTS = ["src", "sql", "test", "examples", "package.json", "tsconfig.json", "vitest.config.ts"];
const AT_ONCE = 2;

type Verdict = "caught" | "SURVIVED" | "NOT APPLIED" | "BROKEN";

function copyPackage(): string {
  const folder = mkdtempSync(join(tmpdir(), "longhaul-mutant-"));
  for (const part of PARTS) cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return folder;
}

/** Applies the text replacements; false when a text is not there exactly once. */
function mutate(folder: string, { file, also, ...first }: Mutant): boolean {
  const path = join(folder, file);
  return [first, ...(also === undefined ? [] : [also])].every(({ find, replace }) => {
    const parts = readFileSync(path, "utf8").split(find);
    if (parts.length === 2) writeFileSync(path, parts.join(replace));
    return parts.length === 2;
  });
}

/** A test that fails because the mutant does not even load, or its schema cannot be made, has not told anything. */
function verdictOf(results: readonly TestResult[]): Verdict {
  if (results.length === 0) return "BROKEN";
  const failed = results.filter(({ passed }) => !passed);
  if (failed.length === 0) return "SURVIVED";
  return failed.some(({ message }) => message.includes("The migrations fail")) ? "BROKEN" : "caught";
}

/** The tests must pass where nothing is mutated. Answers the mutants whose test does not. */
async function withoutGround(mutants: readonly Mutant[]): Promise<string[]> {
  const folder = copyPackage();
  try {
    const results = await runTests(folder, [...new Set(mutants.map(({ test }) => test.file))], "");
    return mutants
      .filter(({ test }) => {
        const named = results.filter(({ file, name }) => file === test.file && name.includes(test.name));
        return named.length === 0 || named.some(({ passed }) => !passed);
      })
      .map(({ name, test }) => `${name}: ${test.file} "${test.name}" is not there or does not pass`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function tryMutant(mutant: Mutant): Promise<Verdict> {
  const folder = copyPackage();
  try {
    if (!mutate(folder, mutant)) return "NOT APPLIED";
    return verdictOf(await runTests(folder, [mutant.test.file], mutant.test.name));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const words = process.argv.slice(2);
const mutants = MUTANTS.filter(({ name }) => words.every((word) => name.includes(word)));
const startMs = performance.now();
console.log(`${mutants.length} mutants; first the tests without any of them`);
const groundless = await withoutGround(mutants);
for (const line of groundless) console.error(line);

const left = [...mutants];
const counts: Record<Verdict, number> = { caught: 0, SURVIVED: 0, "NOT APPLIED": 0, BROKEN: 0 };
async function lane(): Promise<void> {
  for (let mutant = left.shift(); mutant !== undefined; mutant = left.shift()) {
    const verdict = await tryMutant(mutant);
    counts[verdict] += 1;
    console.log(`${verdict.padEnd(11)}  ${mutant.name.padEnd(66)}  ${mutant.test.file} "${mutant.test.name}"`);
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, lane));
const seconds = Math.round((performance.now() - startMs) / 1_000);
console.log(`${counts.caught} of ${mutants.length} mutants caught in ${seconds} s`);
if (counts.caught < mutants.length || groundless.length > 0 || mutants.length === 0) process.exitCode = 1;
