// The commands about budgets, as a program and a person call them.
import { afterAll, beforeAll, expect, test } from "vitest";
import { layOut } from "../../src/cli/layout.ts";
import { viewBudget } from "../../src/cli/view-budgets.ts";
import type { BudgetView } from "../../src/domain/budget.ts";
import { type CliResult, cli } from "../support/cli.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

let database: FreshDatabase;
let project: TestProject;
let budgetId: string;

beforeAll(async () => {
  database = await freshDatabase();
  project = testProject({});
  await longhaul("plans", "set", "pro", "--budget-usd", "10", "--budget-steps", "500", "--budget-per", "day");
  await longhaul("tenants", "set-plan", "acme", "pro");
  const tenant = (await longhaul("tenants", "show", "acme")).json() as { readonly budgetId: string };
  ({ budgetId } = tenant);
});
afterAll(async () => {
  project.remove();
  await database.drop();
});

function longhaul(...args: string[]): Promise<CliResult> {
  return cli(args, { cwd: project.root, env: { DATABASE_URL: database.url } });
}

test("a tenant names the budget of its plan, which can be shown and raised", async () => {
  const shown = (await longhaul("budgets", "show", budgetId, "--tenant", "acme")).json();
  expect(shown).toMatchObject({
    budgetId,
    kind: "tenant",
    limits: { usd: 10, steps: 500 },
    spent: { usd: 0 },
    remaining: { usd: 10, steps: 500 },
  });
  const raised = await longhaul("budgets", "raise", budgetId, "--usd", "2.5", "--by", "ada", "--tenant", "acme");
  expect(raised.json()).toMatchObject({ limits: { usd: 12.5, steps: 500 }, remaining: { usd: 12.5 } });
});

test("what is not the tenant's, or cannot be meant, is said", async () => {
  const results = await Promise.all([
    longhaul("budgets", "show", budgetId, "--json"),
    longhaul("budgets", "show", "nothing", "--tenant", "acme", "--json"),
    longhaul("budgets", "raise", budgetId, "--usd", "-1", "--tenant", "acme", "--json"),
    longhaul("budgets", "raise", budgetId, "--tenant", "acme", "--json"),
  ]);
  expect(results.map((result) => result.error().code)).toEqual([
    "BUDGET_NOT_FOUND",
    "BUDGET_NOT_FOUND",
    "BUDGET_INVALID",
    "BUDGET_INVALID",
  ]);
});

test("people see what is limited or spent, and what is left of it", () => {
  const budget: BudgetView = {
    budgetId: "01981f3e-5d6c-7c11-a1f0-0c0a4c5a9b21",
    kind: "run",
    limits: { usd: 0.5, steps: 40 },
    spent: { inputTokens: 12_000, outputTokens: 0, usd: 0.123456, steps: 40 },
    held: { inputTokens: 0, outputTokens: 0, usd: 0.01, steps: 0 },
    remaining: { usd: 0.366544, steps: 0 },
    endsAt: null,
  };
  expect(layOut(viewBudget(budget), { columns: 100, color: false })).toBe(
    `${[
      "budget  01981f3e-5d6c-7c11-a1f0-0c0a4c5a9b21",
      "kind    a run's own",
      "              LIMIT     SPENT  SET ASIDE      LEFT",
      "input tokens      -    12,000          0         -",
      "US dollars      0.5  0.123456       0.01  0.366544",
      "steps            40        40          0      none",
    ].join("\n")}\n`,
  );
});
