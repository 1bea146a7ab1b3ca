// The bootstrap on a fresh clone: installs what is missing or outdated, and nothing when all is there. Works without network.
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";

const ENSURE = `import("./scripts/dependencies.mjs").then(async (m) => process.exit((await m.ensureDependencies()) ? 0 : 1))`;

let clone: string;
beforeEach(async () => {
  clone = mkdtempSync(join(tmpdir(), "longhaul-clone-"));
  cpSync("scripts", join(clone, "scripts"), { recursive: true });
  await release("1.0.0");
});
afterEach(() => rmSync(clone, { recursive: true, force: true }));

/** What a checkout brings: package.json and a lock file that want this version of the one dependency. */
async function release(version: string): Promise<void> {
  // Made elsewhere: npm would write down the new version in the clone's node_modules, too, without installing it.
  const maker = mkdtempSync(join(clone, "maker-"));
  const source = join(maker, "source");
  mkdirSync(source);
  writeFileSync(join(source, "package.json"), JSON.stringify({ name: "dependency", version }));
  const dependencies = { dependency: `file:dependency-${version}.tgz` };
  await npm(["pack", source], maker);
  writeFileSync(join(maker, "package.json"), JSON.stringify({ name: "clone", private: true, dependencies }));
  await npm(["install", "--package-lock-only", "--no-audit", "--no-fund"], maker);
  for (const file of ["package.json", "package-lock.json", `dependency-${version}.tgz`]) {
    cpSync(join(maker, file), join(clone, file));
  }
}

async function npm(args: string[], cwd: string): Promise<void> {
  await promisify(execFile)("npm", args, { cwd });
}

/** What the bootstrap says. Rejects if it gives up. */
async function ensure(): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", ENSURE], { cwd: clone });
  return stdout;
}

function installedVersion(): string {
  const file = join(clone, "node_modules", "dependency", "package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}

test("installs once, with a word about it", async () => {
  expect(await ensure()).toContain("Installing dependencies (there are none yet)");
  expect(installedVersion()).toBe("1.0.0");
  expect(await ensure()).toBe("");
});

test("installs again when the lock file names another version, and not when only its time changed", async () => {
  await ensure();
  utimesSync(join(clone, "package-lock.json"), new Date(), new Date());
  expect(await ensure()).toBe("");
  await release("1.1.0");
  expect(await ensure()).toContain("dependency should be 1.1.0");
  expect(installedVersion()).toBe("1.1.0");
});

test("falls back to npm install when the lock file does not fit package.json", async () => {
  const file = join(clone, "package.json");
  const manifest = JSON.parse(readFileSync(file, "utf8")) as object;
  mkdirSync(join(clone, "extra"));
  writeFileSync(join(clone, "extra", "package.json"), JSON.stringify({ name: "extra", version: "1.0.0" }));
  await npm(["pack", join(clone, "extra")], clone);
  const dependencies = { dependency: "file:dependency-1.0.0.tgz", extra: "file:extra-1.0.0.tgz" };
  writeFileSync(file, JSON.stringify({ ...manifest, dependencies }));
  expect(await ensure()).toContain("npm ci failed; trying npm install");
  expect(existsSync(join(clone, "node_modules", "extra"))).toBe(true);
});

test("gives up with the reason when a dependency cannot be had", async () => {
  const dependencies = { dependency: "file:not-there.tgz" };
  writeFileSync(join(clone, "package.json"), JSON.stringify({ name: "clone", private: true, dependencies }));
  await expect(ensure()).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining("The dependencies could not be installed"),
  });
});
