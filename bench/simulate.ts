// What `longhaul plan` advises from ten to a million tasks a day: run with `npx tsx bench/simulate.ts`, needs no database.
import { advise } from "../src/planner/advise.ts";
import { amount } from "../src/planner/amount.ts";

const SIZES = [10, 100, 1_000, 10_000, 100_000, 1_000_000];

const rows = SIZES.map((tasksPerDay) => {
  const startedMs = performance.now();
  const { shape, workers, slotsPerWorker, postgres, provider, monthly, simulated, demand, bottleneck, holds } = advise({
    tasksPerDay,
  });
  return {
    "tasks a day": amount(tasksPerDay),
    holds: holds ? "yes" : "no",
    "at once": amount(demand.runsAtOnce),
    shape: shape.name,
    workers: `${workers} × ${slotsPerWorker}`,
    PostgreSQL: postgres.size.name,
    "steps/s": amount(demand.stepsPerSecond),
    "requests/min": amount(provider.requestsPerMinute ?? 0),
    "tokens/min": amount(provider.tokensPerMinute ?? 0),
    "wait p95": `${Math.round(simulated.wait.p95Ms)} ms`,
    "slots busy": `${Math.round(simulated.utilisation.slots * 100)} %`,
    "USD/month": amount(monthly.totalUsd),
    "without model": amount(monthly.totalUsd - monthly.modelUsd),
    "binds first": bottleneck === null ? "" : `${bottleneck.what} at × ${amount(bottleneck.atTimesLoad)}`,
    took: `${Math.round(performance.now() - startedMs)} ms`,
  };
});

const titles = Object.keys(rows[0] ?? {}) as (keyof (typeof rows)[number])[];
const widths = titles.map((title) => Math.max(title.length, ...rows.map((row) => row[title].length)));
for (const cells of [titles, ...rows.map((row) => titles.map((title) => row[title]))])
  console.log(
    cells
      .map((cell, place) => cell.padEnd(widths[place] ?? 0))
      .join("  ")
      .trimEnd(),
  );
