// The benchmarks run as a user runs them, and judge their bars rightly.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { holds, type Measure, ratioOf } from "../../bench/lab/claim.ts";
import { table } from "../../bench/lab/report.ts";
import { median, percentile } from "../../bench/lab/statistics.ts";

const run = promisify(execFile);

const measure: Measure = {
  what: "one step",
  value: 3,
  unit: "ms",
  baseline: { what: "bare", value: 2 },
  bar: { of: "ratio", at: "most", limit: 2 },
};

test("a bar holds or is missed, for the value or for its ratio to the baseline", () => {
  expect(ratioOf(measure)).toBe(1.5);
  expect(holds(measure)).toBe(true);
  expect(holds({ ...measure, bar: { of: "value", at: "most", limit: 2 } })).toBe(false);
  expect(holds({ ...measure, bar: { of: "value", at: "least", limit: 2 } })).toBe(true);
  expect(holds({ what: "no bar", value: 1, unit: "" })).toBeNull();
});

test("the table says what was missed", () => {
  const lines = table([measure, { ...measure, value: 5 }]).split("\n");
  expect(lines[1]).toMatch(/^one step +3 ms +2 ms +× 1\.5 +≤ × 2 +holds$/);
  expect(lines[2]).toMatch(/× 2\.5 +≤ × 2 +MISSED$/);
});

test("medians and percentiles", () => {
  expect(median([5, 1, 3])).toBe(3);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(percentile([1, 2, 3, 4], 0.99)).toBe(4);
  expect(percentile([1, 2, 3, 4], 0)).toBe(1);
});

test("a quick look at a claim prints its table", async () => {
  const { stdout } = await run(process.execPath, ["--import", "tsx", "bench/main.ts", "steps", "--quick"]);
  expect(stdout).toContain("fsync on");
  expect(stdout).toMatch(/statements per step, 64 runs +0\.0\d+ .*holds/);
}, 120_000);

test("a quick look at the queue judges how it is shared", async () => {
  const claims = ["queue-submit", "queue-fairness"];
  const { stdout } = await run(process.execPath, ["--import", "tsx", "bench/main.ts", ...claims, "--quick"]);
  expect(stdout).toMatch(/submit in batches of 100, 16 clients .*runs\/s/);
  expect(stdout).toMatch(/runs of the flood that start before another tenant's one, one worker .*holds/);
}, 120_000);

test("a claim that does not exist is named, with those that do", async () => {
  const failure = await run(process.execPath, ["--import", "tsx", "bench/main.ts", "stepps"]).catch((error) => error);
  expect(failure.code).toBe(1);
  expect(failure.stderr).toContain("No claim stepps. Claims: steps, agent");
});
