// A budget as people see it.
import { BUDGET_DIMENSIONS, type BudgetDimension, type BudgetView } from "../domain/budget.ts";
import { type Block, type Cell, fields, table, toned } from "./blocks.ts";

const WORDS: Readonly<Record<BudgetDimension, string>> = {
  inputTokens: "input tokens",
  outputTokens: "output tokens",
  usd: "US dollars",
  steps: "steps",
  wallMinutes: "minutes",
};

const KINDS: Readonly<Record<BudgetView["kind"], string>> = {
  run: "a run's own",
  tenant: "a tenant's, from its plan",
  open: "of a program outside",
};

export function viewBudget(budget: BudgetView): Block[] {
  const { budgetId, kind, endsAt } = budget;
  return [
    fields({ budget: budgetId, kind: KINDS[kind], ends: endsAt }),
    table(
      BUDGET_DIMENSIONS.filter((dimension) => isOfInterest(budget, dimension)),
      [
        { title: "", cell: (dimension) => WORDS[dimension] },
        { title: "limit", align: "right", cell: (dimension) => figure(budget.limits[dimension]) },
        { title: "spent", align: "right", cell: (dimension) => used(budget.spent, dimension) },
        { title: "set aside", align: "right", cell: (dimension) => used(budget.held, dimension) },
        { title: "left", align: "right", cell: (dimension) => left(budget.remaining[dimension]) },
      ],
      "It limits nothing, and nothing is spent.",
    ),
  ];
}

function isOfInterest({ limits, spent }: BudgetView, dimension: BudgetDimension): boolean {
  return limits[dimension] !== undefined || (dimension !== "wallMinutes" && spent[dimension] > 0);
}

function used(figures: BudgetView["spent"], dimension: BudgetDimension): Cell {
  return dimension === "wallMinutes" ? toned("dim", "-") : figure(figures[dimension]);
}

function left(amount: number | undefined): Cell {
  return amount === 0 ? toned("bad", "none") : figure(amount);
}

function figure(amount: number | undefined): Cell {
  if (amount === undefined) return toned("dim", "-");
  return amount.toLocaleString("en", { maximumFractionDigits: 6 });
}
