// Plans and tenants as people see them.
import type { PlanView, TenantView } from "../runtime/limits-api.ts";
import { type Block, type Cell, fields, line, table, toned } from "./blocks.ts";
import { count } from "./show.ts";
import type { DeletedPlan } from "./tenants.ts";

export function viewPlans(plans: readonly PlanView[]): Block[] {
  return [
    table(
      plans,
      [
        { title: "plan", flexible: true, cell: (one) => one.plan },
        { title: "at once", align: "right", cell: (one) => count(one.concurrency) },
        { title: "weight", align: "right", cell: (one) => String(one.weight) },
        { title: "band", cell: (one) => one.band ?? toned("dim", "the agents'") },
        { title: "unfinished", align: "right", cell: (one) => count(one.unfinishedMax) },
        { title: "per minute", align: "right", cell: (one) => count(one.submitsPerMinute) },
        { title: "budget", cell: budgetText },
        { title: "tenants", align: "right", cell: (one) => count(one.tenants) },
      ],
      "There are no plans.",
    ),
  ];
}

function budgetText({ budget }: PlanView): Cell {
  if (budget === null) return toned("dim", "none");
  const { usd, steps, inputTokens, outputTokens, per } = budget;
  const parts = [
    usd === undefined ? null : `$${usd}`,
    steps === undefined ? null : `${steps} steps`,
    inputTokens === undefined ? null : `${inputTokens} tokens in`,
    outputTokens === undefined ? null : `${outputTokens} tokens out`,
  ];
  return `${parts.filter((part) => part !== null).join(", ")} a ${per}`;
}

export function viewPlan(plan: PlanView): Block[] {
  return viewPlans([plan]);
}

export function viewDeletedPlan({ plan, tenants }: DeletedPlan): Block[] {
  return [line(`Plan ${plan} is deleted; ${tenants} ${tenants === 1 ? "tenant is" : "tenants are"} on default now.`)];
}

export function viewTenants(tenants: readonly TenantView[]): Block[] {
  return [
    table(
      tenants,
      [
        { title: "tenant", flexible: true, cell: (one) => one.tenant },
        { title: "plan", flexible: true, cell: (one) => one.plan },
        { title: "running", align: "right", cell: running },
        { title: "cap", align: "right", cell: (one) => count(one.cap) },
        { title: "ready", align: "right", cell: (one) => count(one.ready) },
        { title: "unfinished", align: "right", cell: unfinished },
        { title: "", cell: (one) => (one.paused ? toned("warn", "paused") : "") },
      ],
      "No tenants yet: nobody has submitted a run.",
    ),
  ];
}

export function viewTenant(one: TenantView): Block[] {
  return [
    fields({
      tenant: one.tenant,
      plan: one.plan,
      paused: one.paused ? toned("warn", `yes: longhaul tenants resume ${JSON.stringify(one.tenant)}`) : null,
      running: one.cap === null ? String(one.inFlight) : `${one.inFlight} of ${one.cap}`,
      ready: String(one.ready),
      unfinished: one.unfinishedMax === null ? String(one.unfinished) : `${one.unfinished} of ${one.unfinishedMax}`,
      "submits per minute": one.submitsPerMinute === null ? null : String(one.submitsPerMinute),
      weight: String(one.weight),
      band: one.band,
      budget: one.budgetId,
    }),
  ];
}

function running({ inFlight, cap }: TenantView): Cell {
  return cap !== null && inFlight >= cap ? toned("warn", String(inFlight)) : String(inFlight);
}

function unfinished(one: TenantView): Cell {
  const isFull = one.unfinishedMax !== null && one.unfinished >= one.unfinishedMax;
  return isFull ? toned("bad", String(one.unfinished)) : String(one.unfinished);
}
