// The commands about what tenants may use: plans, and the tenants that are on them.
import { BANDS } from "../domain/band.ts";
import { BUDGET_COUNT_MAX, PLAN_COUNT_MAX, PLAN_WEIGHT_MAX, TENANTS_LISTED_MAX } from "../domain/limits.ts";
import { PERIODS } from "../domain/plan.ts";
import { command } from "./command.ts";
import { databaseSettings as settings } from "./commands-shared.ts";

const group = "Tenants";
const plan = { summary: "Name of the plan" } as const;
const tenant = { summary: "Id of the tenant" } as const;

export const tenantCommands = [
  command({
    path: "plans list",
    group,
    settings,
    summary: "List the plans, and how many tenants are on each",
    examples: [{ says: "What tenants may have", line: "longhaul plans list" }],
    load: async () => (await import("./tenants.ts")).listPlans,
    view: async () => (await import("./view-tenants.ts")).viewPlans,
  }),
  command({
    path: "plans set",
    group,
    settings,
    summary: "Make a plan, or replace what it allows",
    about:
      "What is not named is not limited. It holds at once for every tenant on the plan. A change of the config file replaces it when something starts with that file.",
    args: { plan },
    flags: {
      concurrency: { kind: "count", max: PLAN_COUNT_MAX, summary: "Runs of a tenant in flight at once" },
      weight: { kind: "count", min: 1, max: PLAN_WEIGHT_MAX, summary: "Its share beside other tenants (default: 1)" },
      band: { kind: "choice", choices: BANDS, summary: "Instead of the band of its agents" },
      unfinishedMax: { kind: "count", max: PLAN_COUNT_MAX, summary: "Runs of a tenant that have not ended" },
      submitsPerMinute: { kind: "count", min: 1, max: PLAN_COUNT_MAX, summary: "Submits of a tenant in a minute" },
      budgetUsd: { kind: "text", placeholder: "amount", summary: "US dollars that its runs may spend together" },
      budgetSteps: { kind: "count", max: BUDGET_COUNT_MAX, summary: "Steps that they may take" },
      budgetInputTokens: { kind: "count", max: BUDGET_COUNT_MAX, summary: "Input tokens that they may use" },
      budgetOutputTokens: { kind: "count", max: BUDGET_COUNT_MAX, summary: "Output tokens that they may use" },
      budgetPer: { kind: "choice", choices: PERIODS, summary: "For how long that is (default: month; UTC)" },
    },
    examples: [
      { says: "Twenty at once", line: "longhaul plans set pro --concurrency 20" },
      {
        says: "Two at once, after everybody else, and not too many",
        line: "longhaul plans set free --concurrency 2 --band background --unfinished-max 1000 --submits-per-minute 600",
      },
      { says: "Ten dollars a month", line: "longhaul plans set free --budget-usd 10 --budget-per month" },
    ],
    load: async () => (await import("./tenants.ts")).setPlan,
    view: async () => (await import("./view-tenants.ts")).viewPlan,
  }),
  command({
    path: "plans delete",
    group,
    settings,
    summary: "Delete a plan; its tenants are on the plan `default` then",
    args: { plan },
    examples: [{ says: "Nobody pays for it any more", line: "longhaul plans delete trial" }],
    load: async () => (await import("./tenants.ts")).deletePlan,
    view: async () => (await import("./view-tenants.ts")).viewDeletedPlan,
  }),
  command({
    path: "tenants list",
    group,
    settings,
    summary: "List the tenants with their plans and what they use",
    flags: {
      plan: { kind: "text", placeholder: "name", summary: "Only those on this plan" },
      paused: { kind: "switch", summary: "Only those that are paused" },
      limit: { kind: "count", min: 1, max: TENANTS_LISTED_MAX, summary: "At most this many (default: 50)" },
      after: { kind: "text", placeholder: "tenant", summary: "Only those whose names come after this one" },
    },
    examples: [
      { says: "Who uses what", line: "longhaul tenants list" },
      { says: "Who is held at a cap", line: "longhaul tenants list | jq '.[] | select(.inFlight == .cap)'" },
    ],
    load: async () => (await import("./tenants.ts")).listTenants,
    view: async () => (await import("./view-tenants.ts")).viewTenants,
  }),
  command({
    path: "tenants show",
    group,
    settings,
    summary: "Show one tenant",
    args: { tenant },
    examples: [{ says: "What it may have and has", line: "longhaul tenants show acme" }],
    load: async () => (await import("./tenants.ts")).showTenant,
    view: async () => (await import("./view-tenants.ts")).viewTenant,
  }),
  command({
    path: "tenants set-plan",
    group,
    settings,
    summary: "Put a tenant on a plan, also one that never submitted anything",
    args: { tenant, plan },
    examples: [{ says: "It pays now", line: "longhaul tenants set-plan acme pro" }],
    load: async () => (await import("./tenants.ts")).setTenantPlan,
    view: async () => (await import("./view-tenants.ts")).viewTenant,
  }),
  command({
    path: "tenants pause",
    group,
    settings,
    summary: "Let none of a tenant's runs start",
    about: "What runs goes on, and submits are taken.",
    args: { tenant },
    examples: [{ says: "Until it is looked into", line: "longhaul tenants pause acme" }],
    load: async () => (await import("./tenants.ts")).pauseTenant,
    view: async () => (await import("./view-tenants.ts")).viewTenant,
  }),
  command({
    path: "tenants resume",
    group,
    settings,
    summary: "Let a paused tenant's runs start again",
    args: { tenant },
    examples: [{ says: "Go on", line: "longhaul tenants resume acme" }],
    load: async () => (await import("./tenants.ts")).resumeTenant,
    view: async () => (await import("./view-tenants.ts")).viewTenant,
  }),
];
