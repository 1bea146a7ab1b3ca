// `longhaul plan`: an answer without a database, one from what was measured, and refusals that say what would be right.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { layOut } from "../../src/cli/layout.ts";
import type { Plan } from "../../src/cli/plan.ts";
import { asMeasured } from "../../src/cli/plan-measured.ts";
import { viewPlan } from "../../src/cli/view-plan.ts";
import { advise } from "../../src/planner/advise.ts";
import type { Asked } from "../../src/planner/question.ts";
import { type CliResult, cli } from "../support/cli.ts";
import { HISTORY_RUNS, recordHistory } from "../support/history.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

let database: FreshDatabase;
let project: TestProject;

beforeAll(async () => {
  database = await freshDatabase();
  project = testProject({});
});
afterAll(async () => {
  project.remove();
  await database.drop();
});

function plan(...args: string[]): Promise<CliResult> {
  return cli(["plan", ...args], { cwd: project.root });
}

function live(...args: string[]): Promise<CliResult> {
  return cli(["plan", "--from-live", ...args], { cwd: project.root, env: { DATABASE_URL: database.url } });
}

/** What a terminal shows. */
function shown(asked: Asked): string {
  return layOut(viewPlan({ ...advise(asked), basis: null }), { columns: 120, color: false });
}

describe("from estimates", () => {
  test("a plan as JSON, with the question, the advice and every assumption", async () => {
    const result = await plan("--tasks-per-day", "1000", "--run-minutes", "5", "--calls-per-run", "10");
    expect(result.code).toBe(0);
    expect(result.json<Plan>()).toMatchObject({
      basis: null,
      holds: true,
      question: { tasksPerDay: 1_000, runMinutes: 5, callsPerRun: 10, slaSeconds: 30 },
      shape: { name: "one command", commands: ["longhaul start"] },
      workers: 1,
      postgres: { embedded: true },
      provider: { requestsPerMinute: 60 },
      bottleneck: { what: "worker slots" },
      assumptions: { usdPerMillionTokens: 2 },
    });
  });

  test("flags and --assume change what is assumed, flags first", async () => {
    const assumed = JSON.stringify({ workerUsdPerMonth: 7, usdPerMillionTokens: 9 });
    const result = await plan("--tasks-per-day", "1e3", "--assume", assumed, "--usd-per-million-tokens", "0.5");
    expect(result.json<Plan>()).toMatchObject({ monthly: { workersUsd: 7, modelUsd: 450 } });
  });

  test("a promise that cannot be held: exit code 1, and what is missing", async () => {
    const result = await plan("--tasks-per-day", "10000", "--requests-per-minute", "100");
    expect(result.code).toBe(1);
    expect(result.json<Plan>()).toMatchObject({ holds: false, bottleneck: { what: "provider quota" } });
  });

  test.each([
    [["--tasks-per-day", "-1"], 1, "CAPACITY_INVALID", "above 0"],
    [["--tasks-per-day", "1e30"], 1, "CAPACITY_INVALID", "at most 1,000,000,000"],
    [["--tasks-per-day", "NaN"], 2, "COMMAND_INVALID", ""],
    [["--tasks-per-day", "10", "--peak", "0"], 1, "CAPACITY_INVALID", "at least 1"],
    [["--tasks-per-day", "10", "--assume", '{"workerUsd":1}'], 1, "CAPACITY_INVALID", "workerUsdPerMonth"],
    [["--tasks-per-day", "10", "--assume", "7"], 2, "COMMAND_INVALID", "--assume"],
    [[], 2, "COMMAND_INVALID", "--tasks-per-day 1000"],
  ])("%j is refused", async (args, exitCode, code, hint) => {
    const result = await plan(...args, "--json");
    expect(result.code).toBe(exitCode);
    expect(result.error()).toMatchObject({ code, hint: expect.stringContaining(hint) });
  });
});

describe("for people", () => {
  test("what to run comes first, then sizes, waits and money", () => {
    const text = shown({ tasksPerDay: 1_000_000, waitingShare: 0.3 });
    for (const part of ["holds", "longhaul worker --slots 189  # × 65", "ask for 29,000 requests", "4 cores, 16 GB"])
      expect(text).toContain(part);
    expect(text).toMatch(/wait to start +0 ms \/ /);
    expect(text).toMatch(/\nmodel +1\.8 million +100 %\n/);
    expect(text).toContain("50,000 waiting for people or timers");
    expect(text.indexOf("longhaul worker")).toBeLessThan(text.indexOf("A month"));
  });

  test("what cannot be held says so", () => {
    const text = shown({ tasksPerDay: 10_000, tenants: 10, tenantCap: 2 });
    expect(text).toMatch(/^does not hold /);
    expect(text).toContain("tenant caps bind already");
  });
});

describe("from what was measured", () => {
  test("too little says what there is and what else one can do", async () => {
    const result = await live("--json");
    expect(result.code).toBe(1);
    expect(result.error()).toMatchObject({
      code: "CAPACITY_FIGURES_MISSING",
      message: expect.stringContaining("0 runs ended"),
    });
  });

  test("without a database it says that it needs one", async () => {
    const result = await plan("--from-live", "--json");
    expect(result.error().code).toBe("INSTALLATION_NOT_RUNNING");
  });

  test("load, run time, calls and waits come from the database; what is given by hand goes before them", async () => {
    await recordHistory(database.db);
    const measured = (await live()).json<Plan>();
    expect(measured.basis).toMatchObject({ runs: HISTORY_RUNS, sample: HISTORY_RUNS / 2 });
    expect(measured.question.tasksPerDay).toBeCloseTo(240, -1);
    expect(measured.question.runMinutes).toBeCloseTo(1, 1);
    expect(measured.question).toMatchObject({ callsPerRun: 3, tenants: 4 });
    const changed = (await live("--tasks-per-day", "5000", "--call-seconds", "10")).json<Plan>();
    expect(changed.question).toMatchObject({ tasksPerDay: 5_000, callsPerRun: 3, runMinutes: 0.5, runMinutesP95: 1 });
  });

  test("figures that fit no curve are brought to one that does", () => {
    const figures = {
      observed_hours: 10,
      runs: 100,
      tenants: 0,
      busiest_per_hour: 5,
      ended: 100,
      active_ms_mean: 1_000,
      active_ms_p95: 10,
      steps_per_run: 4,
      waiting_share: 0,
      wait_ms_mean: 0,
    };
    const { asked } = asMeasured(figures, 2);
    expect(asked).toMatchObject({ tasksPerDay: 240, peak: 1, tenants: 1, callsPerRun: 2 });
    expect(asked.runMinutesP95).toBe(asked.runMinutes);
    expect(() => advise(asked)).not.toThrow();
    expect(() => asMeasured({ ...figures, ended: 10 }, 2)).toThrowError(/10 runs ended/);
    expect(() => asMeasured({ ...figures, observed_hours: 0.5 }, 2)).toThrowError(/0\.5 hours/);
  });
});
