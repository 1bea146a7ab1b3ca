// The guide to capacity says what the planner says: its commands run, its tables are the present ones.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Context } from "../../src/cli/context.ts";
import { plan } from "../../src/cli/plan.ts";
import { parse } from "../../src/cli/program.ts";
import { advise } from "../../src/planner/advise.ts";
import { amount } from "../../src/planner/amount.ts";
import { ASSUMPTIONS } from "../../src/planner/assumptions.ts";

const guide = readFileSync("docs/guides/capacity.md", "utf8");

const lines = [...guide.matchAll(/^```sh\n(.*?)^```/gms)]
  .flatMap((block) => (block[1] ?? "").split("\n"))
  .filter((line) => line.startsWith("longhaul plan"));

test.each(lines)("%s", async (line) => {
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
  const invocation = await parse(words.slice(1), () => undefined);
  expect(invocation?.command.path).toBe("plan");
  if (line.includes("--from-live")) return;
  const { workers } = await plan(invocation?.input ?? {}, {} as Context);
  expect(workers).toBeGreaterThan(0);
});

describe("the table of sizes", () => {
  test.each([10, 100, 1_000, 10_000, 100_000, 1_000_000])("%i tasks a day", (tasksPerDay) => {
    const { demand, shape, workers, slotsPerWorker, postgres, provider, monthly } = advise({ tasksPerDay });
    const requests = amount(provider.requestsPerMinute ?? 0);
    const tokens = amount(provider.tokensPerMinute ?? 0);
    const cells = [
      ...[amount(tasksPerDay), amount(demand.runsAtOnce), shape.name, `${workers} × ${slotsPerWorker}`],
      ...[postgres.size.name, `${requests} requests, ${tokens} tokens`, amount(monthly.totalUsd - monthly.modelUsd)],
    ];
    expect(guide).toContain(`| ${cells.join(" | ")} |`);
  });
});

test.each(Object.entries(ASSUMPTIONS).filter(([name]) => name !== "postgres"))("the assumption %s", (name, value) => {
  expect(guide).toContain(`| \`${name}\` | ${value} |`);
});
