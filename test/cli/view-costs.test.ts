// Costs and charges as people see them on a terminal.
import { expect, test } from "vitest";
import { layOut } from "../../src/cli/layout.ts";
import { viewAcknowledged, viewCharges, viewCosts } from "../../src/cli/view-costs.ts";
import type { CostFigures, CostReport } from "../../src/domain/costs.ts";

const paper = { columns: 140, color: false };
const figures: CostFigures = {
  calls: 1_200,
  failed: 3,
  cached: 20,
  coalesced: 1,
  inputTokens: 1_234_567,
  outputTokens: 45_678,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 999,
  usd: 12.345,
  unpriced: 2,
  latencyMs: { p50: 900, p95: 4_200 },
  firstChunkMs: null,
};
const report: CostReport = {
  by: "model",
  since: "2030-01-24T00:00:00.000Z",
  until: "2030-01-31T00:00:00.000Z",
  lines: [
    { key: "openai/gpt-5", ...figures },
    { key: null, ...figures, usd: 0.00001, failed: 0, latencyMs: null },
  ],
  total: figures,
  more: 4,
  isComplete: false,
};

const shown = (blocks: ReturnType<typeof viewCosts>): string => layOut(blocks, paper as never);

test("lines, their sum, and what is to be known of them", () => {
  const text = shown(viewCosts(report));
  expect(text).toMatch(/model\s+USD\s+calls\s+failed\s+saved\s+in\s+cached\s+out\s+thought\s+p50\/p95\s+first/i);
  expect(text).toMatch(/openai\/gpt-5\s+12\.3[45]\s+1,200\s+3\s+21\s+1\.2M\s+-\s+46k\s+999\s+900 ms \/ 4\.2 s\s+-/);
  expect(text).toMatch(/\(not said\)\s+0\.000010/);
  expect(text).toMatch(/\nall\s+12\.3/);
  expect(text).toContain("4 more");
  expect(text).toContain("no known price");
  expect(text).toContain("more calls than one report looks at");
});

test("how unevenly runs cost", () => {
  const text = shown(
    viewCosts({
      since: report.since,
      until: report.until,
      runs: 200,
      usd: 10,
      isComplete: true,
      shares: [{ percent: 10, runs: 20, part: 0.512 }],
      top: [{ runId: "r1", tenant: "acme", agent: null, calls: 3, inputTokens: 1, outputTokens: 2, usd: 4 }],
    }),
  );
  expect(text).toMatch(/200 runs\s+cost 10\.00 since 2030-01-24/);
  expect(text).toMatch(/10 %\s+20\s+51\.2 %/);
  expect(text).toMatch(/r1\s+acme\s+-\s+4\.00/);
});

test("charges, and those that are dealt with", () => {
  const charge = {
    runId: "r1",
    rootId: "r1",
    tenant: "acme",
    agent: "a",
    inputTokens: 1,
    outputTokens: 2,
    usd: 0.5,
    nanoUsd: "500000000",
    steps: 3,
    calls: 4,
    finishedAt: "2030-01-31T00:00:00.000Z",
    deliveredAt: null,
  };
  const text = shown(viewCharges({ charges: [charge], next: "r1" }));
  expect(text).toMatch(/r1\s+acme\s+a\s+0\.5000\s+1\s+2\s+3\s+4\s+now\s+pending/);
  expect(text).toContain("--after r1");
  expect(shown(viewAcknowledged({ acknowledged: ["r1"] }))).toContain("1 charge is pending no more");
});
