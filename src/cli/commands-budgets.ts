// The commands about budgets: how one stands, and giving it more.
import { BUDGET_COUNT_MAX } from "../domain/limits.ts";
import { command } from "./command.ts";
import { by, clientSettings as settings } from "./commands-shared.ts";

const group = "Tenants";
const A_BUDGET = "01981f3e-5d6c-7c11-a1f0-0c0a4c5a9b21";
const budget = { summary: "Id of the budget; of a run's own budget the run's" } as const;

export const budgetCommands = [
  command({
    path: "budgets show",
    group,
    settings,
    summary: "Show what a budget allows, what is spent, set aside and left",
    about: "A tenant's budget, which its plan gives it, has the id that `longhaul tenants show` names.",
    args: { budget },
    examples: [{ says: "How far a run has come with its budget", line: `longhaul budgets show ${A_BUDGET}` }],
    load: async () => (await import("./budgets.ts")).showBudget,
    view: async () => (await import("./view-budgets.ts")).viewBudget,
  }),
  command({
    path: "budgets raise",
    group,
    settings,
    summary: "Give a budget more of what it limits",
    about: "Runs that have asked for more because of it, and for which it is enough, go on.",
    args: { budget },
    flags: {
      usd: { kind: "number", placeholder: "amount", summary: "US dollars" },
      inputTokens: { kind: "count", max: BUDGET_COUNT_MAX, summary: "Input tokens" },
      outputTokens: { kind: "count", max: BUDGET_COUNT_MAX, summary: "Output tokens" },
      steps: { kind: "count", max: BUDGET_COUNT_MAX, summary: "Steps" },
      wallMinutes: { kind: "number", placeholder: "minutes", summary: "Time, in minutes" },
      by,
    },
    examples: [{ says: "Two dollars more", line: `longhaul budgets raise ${A_BUDGET} --usd 2 --by ada` }],
    load: async () => (await import("./budgets.ts")).raiseBudget,
    view: async () => (await import("./view-budgets.ts")).viewBudget,
  }),
];
