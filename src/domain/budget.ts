// What a tree of runs may spend. Pure: which limits there are, and what it means that one is reached.

/** The limits of one budget. What is not given is not limited. */
export interface BudgetLimits {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  /** US dollars. Needs known prices: a call whose price is unknown is refused. */
  readonly usd?: number;
  /** Recorded steps: model calls, tool calls and `ctx.step`s, of the run and every run below it. */
  readonly steps?: number;
  /** From the submit on, waiting included, in minutes. */
  readonly wallMinutes?: number;
}

/** A budget as an agent, a submit or a spawn declares it. */
export interface BudgetDeclaration extends BudgetLimits {
  /** `fail` (default): the run ends with reason `budget_exceeded`. `ask`: it waits for an approval that raises the limit. */
  readonly onExceeded?: "fail" | "ask";
}

export const BUDGET_DIMENSIONS = ["inputTokens", "outputTokens", "usd", "steps", "wallMinutes"] as const;
export type BudgetDimension = (typeof BUDGET_DIMENSIONS)[number];

/** A budget as it stands at one moment. */
export interface BudgetView {
  /** The run's own id where the run declared it. */
  readonly budgetId: string;
  readonly kind: "run" | "tenant" | "open";
  readonly limits: BudgetLimits;
  /** Ever; of a tenant's budget: in this period. */
  readonly spent: BudgetFigures;
  /** Set aside for what is under way. */
  readonly held: BudgetFigures;
  /** What nobody has spent or set aside, of what is limited; never below 0. */
  readonly remaining: BudgetLimits;
  /** When its time is over, or its period; null: never. */
  readonly endsAt: string | null;
}

/** Tokens, US dollars, steps. */
export interface BudgetFigures {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly usd: number;
  readonly steps: number;
}
