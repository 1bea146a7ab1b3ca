// Runs vitest in a folder and gives what became of each test.
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";

export interface TestResult {
  /** Relative to the folder. */
  readonly file: string;
  /** With the names of the groups it is in. */
  readonly name: string;
  readonly passed: boolean;
  readonly message: string;
}

interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
    readonly message: string;
  }[];
}

/** Only tests whose names contain `name`; those that were not run are left out. */
export async function runTests(folder: string, files: readonly string[], name: string): Promise<TestResult[]> {
  const reportFile = join(folder, "report.json");
  rmSync(reportFile, { force: true });
  const pattern = name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const args = ["node_modules/vitest/vitest.mjs", "run", ...files, "--reporter=json", `--outputFile=${reportFile}`];
  const child = spawn(process.execPath, name === "" ? args : [...args, "-t", pattern], {
    cwd: folder,
    stdio: "ignore",
  });
  await new Promise<void>((resolve) => child.once("exit", () => resolve()));
  if (!existsSync(reportFile)) return [];
  const report = JSON.parse(readFileSync(reportFile, "utf8")) as VitestReport;
  return report.testResults.flatMap((file) =>
    file.assertionResults
      .filter(({ status }) => status === "passed" || status === "failed")
      .map(({ fullName, status, failureMessages }) => ({
        file: relative(folder, file.name),
        name: fullName,
        passed: status === "passed",
        message: `${failureMessages.join("\n")}\n${file.message}`,
      })),
  );
}
