// The binaries where npm left them incomplete, closed or read-only, and where there are none.
import { chmodSync, cpSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Binaries, findPackage, prepareBinaries } from "../../src/embedded/binaries.ts";
import { openCluster } from "../../src/embedded/cluster.ts";
import { chooseRunAs } from "../../src/embedded/run-as.ts";
import { startServer, stopServer } from "../../src/embedded/server.ts";

let folder: string;
let packageDir: string;
let dataDir: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "longhaul-binaries-"));
  chmodSync(folder, 0o755);
  packageDir = join(folder, "package");
  dataDir = join(folder, "data");
  mkdirSync(dataDir);
  cpSync(findPackage(), packageDir, { recursive: true, verbatimSymlinks: true });
});
afterEach(() => {
  chmodSync(packageDir, 0o755);
  rmSync(folder, { recursive: true, force: true });
});

/** The symbolic links that the package should have, by its own list. */
function links(): string[] {
  const list = JSON.parse(readFileSync(join(packageDir, "native", "pg-symlinks.json"), "utf8")) as { target: string }[];
  return list.map(({ target }) => join(packageDir, target));
}

/** Leaves the package as it comes out of the archive when install scripts are blocked. */
function undoInstallScript(): void {
  for (const link of links()) rmSync(link, { force: true });
}

/** Makes a cluster with these binaries and starts it: the proof that they are whole. */
async function expectToRun(binaries: Binaries): Promise<void> {
  const logFile = join(dataDir, "postgres.log");
  const runAs = chooseRunAs(join(dataDir, "postgres"), logFile);
  const cluster = await openCluster(dataDir, binaries, runAs, logFile, undefined);
  const server = await startServer(binaries, cluster, runAs, undefined, {}, logFile);
  expect(server.status).toBe("ready");
  await stopServer(server.pid, binaries, cluster.dir, logFile);
}

const runAs = () => chooseRunAs(join(dataDir, "postgres"), "log");

describe.runIf(process.platform === "linux")("prepareBinaries", () => {
  test("makes the links that a blocked install script did not make", async () => {
    undoInstallScript();
    expect(links().length).toBeGreaterThan(0);
    const binaries = prepareBinaries(dataDir, runAs(), packageDir);
    expect(dirname(dirname(binaries.postgres))).toBe(join(packageDir, "native"));
    for (const link of links()) expect(lstatSync(link).isSymbolicLink()).toBe(true);
    await expectToRun(binaries);
  });

  test("makes programs executable that an archive tool left plain", async () => {
    for (const name of readdirSync(join(packageDir, "native", "bin"))) {
      chmodSync(join(packageDir, "native", "bin", name), 0o644);
    }
    await expectToRun(prepareBinaries(dataDir, runAs(), packageDir));
  });

  test.runIf(process.getuid?.() === 0)("copies them once where the server's user may not read them", async () => {
    undoInstallScript();
    chmodSync(packageDir, 0o700);
    const binaries = prepareBinaries(dataDir, runAs(), packageDir);
    expect(binaries.postgres.startsWith(join(dataDir, "postgres-"))).toBe(true);
    await expectToRun(binaries);
    const copiedAt = lstatSync(binaries.postgres).ctimeMs;
    expect(prepareBinaries(dataDir, runAs(), packageDir)).toEqual(binaries);
    expect(lstatSync(binaries.postgres).ctimeMs).toBe(copiedAt);
  });
});

test("a platform without a package is EMBEDDED_UNSUPPORTED, with the way out", () => {
  expect(() => findPackage("plan9-mips")).toThrow(
    expect.objectContaining({
      code: "EMBEDDED_UNSUPPORTED",
      message: expect.stringContaining("plan9-mips"),
      hint: expect.stringContaining("DATABASE_URL"),
    }),
  );
});
