// The commands about money: what model calls have cost, and what finished runs are charged.
import { COST_GROUPS } from "../domain/costs.ts";
import { CHARGES_PAGE_MAX, COST_ROWS_MAX } from "../domain/limits.ts";
import { command, type FlagSpec } from "./command.ts";
import { databaseSettings as settings } from "./commands-shared.ts";

const group = "Tenants";
const period = {
  tenant: { kind: "text", placeholder: "name", summary: "Only of this tenant (default: of all)" },
  since: {
    kind: "text",
    placeholder: "when",
    summary: 'Only what is not older than "12 hours", or than 2030-01-31',
  },
  until: { kind: "text", placeholder: "when", summary: "Only what is older than that (default: now)" },
} as const satisfies Record<string, FlagSpec>;

export const costCommands = [
  command({
    path: "costs",
    group,
    settings,
    summary: "Show what model calls have cost, the most expensive first",
    about:
      "By default by model, of the last 7 days. Calls count when they are over, failed ones with what they cost. p50 and p95 are of the attempts that succeeded. The report concentration says how much of the cost the most expensive runs have; a run there is a whole tree.",
    flags: {
      ...period,
      by: { kind: "choice", choices: COST_GROUPS, summary: "What makes a line" },
      report: {
        kind: "choice",
        choices: ["lines", "concentration"],
        summary: "Lines (default), or how unevenly runs cost",
      },
      limit: { kind: "count", min: 1, max: COST_ROWS_MAX, summary: "Lines at most (default: 100)" },
    },
    examples: [
      { says: "Which models", line: "longhaul costs" },
      { says: "Whom it is for", line: "longhaul costs --by tenant --since 30d" },
      { says: "What one tenant's agents do", line: "longhaul costs --by step --tenant acme --since 24h" },
      { says: "Whether a few runs cost half of it", line: "longhaul costs --report concentration" },
    ],
    load: async () => (await import("./costs.ts")).costs,
    view: async () => (await import("./view-costs.ts")).viewCosts,
  }),
  command({
    path: "charges list",
    group,
    settings,
    summary: "List what finished runs are charged, in the order in which they ended",
    about: "There is exactly one charge for each run that made calls or spent something, written with its outcome.",
    flags: {
      ...period,
      pending: { kind: "switch", summary: "Only those that nobody has taken note of" },
      after: { kind: "text", placeholder: "run", summary: "The next page: what the page before gave as next" },
      limit: { kind: "count", min: 1, max: CHARGES_PAGE_MAX, summary: "At most this many (default: 100)" },
    },
    examples: [
      { says: "What is to be billed", line: "longhaul charges list --pending" },
      {
        says: "What each tenant owes for a month",
        line: "longhaul charges list --since 2030-01-01 --until 2030-02-01 --json | jq '.charges | group_by(.tenant)'",
      },
    ],
    load: async () => (await import("./costs.ts")).charges,
    view: async () => (await import("./view-costs.ts")).viewCharges,
  }),
  command({
    path: "charges ack",
    group,
    settings,
    summary: "Take note of charges: they are pending no more",
    args: { runs: { summary: "Ids of their runs, separated by commas" } },
    examples: [{ says: "This one is billed", line: "longhaul charges ack 01981f3e-5d6c-7c11-a1f0-0c0a4c5a9b21" }],
    load: async () => (await import("./costs.ts")).ackCharges,
    view: async () => (await import("./view-costs.ts")).viewAcknowledged,
  }),
];
