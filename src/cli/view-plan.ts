// A plan as people see it: what to run and why first, then sizes, the simulated busy hour, and the money.
import { amount } from "../planner/amount.ts";
import { type Block, type Cell, fields, heading, line, table, toned } from "./blocks.ts";
import type { Plan } from "./plan.ts";
import { duration } from "./show.ts";

export function viewPlan(plan: Plan): Block[] {
  return [
    verdict(plan),
    ...plan.shape.commands.map((command) => line(toned("info", `  ${command}`))),
    line(plan.shape.reason),
    ...(plan.bottleneck === null ? [] : [line(plan.bottleneck.sentence)]),
    heading("What it takes"),
    sizes(plan),
    heading("The busy hour, simulated"),
    busyHour(plan),
    heading("A month, in USD (prices are assumptions)"),
    money(plan),
    heading("Beside that"),
    ...plan.notes.map((note) => line(`- ${note}`)),
  ];
}

function verdict({ holds, question, shape, basis }: Plan): Block {
  const promise = `95 of 100 runs start within ${duration(question.slaSeconds * 1_000)}`;
  const from = basis === null ? "" : `measured in ${amount(basis.observedHours)} h, ${amount(basis.runs)} runs`;
  return holds
    ? line(toned("good", "holds"), `${promise}, with ${shape.name}`, toned("dim", from))
    : line(toned("bad", "does not hold"), promise, toned("dim", from));
}

function sizes({ workers, slotsPerWorker, slotsBoundBy, postgres, provider, question, demand }: Plan): Block {
  const clusters = postgres.clusters === 1 ? "" : `${postgres.clusters} × `;
  const asked = question.requestsPerMinute === null && question.tokensPerMinute === null ? "ask for " : "";
  const { requestsPerMinute: requests, tokensPerMinute: tokens } = provider;
  return fields({
    workers: `${workers} × ${slotsPerWorker} slots (${reasons[slotsBoundBy]})`,
    PostgreSQL: `${clusters}${postgres.size.name}, ${amount(demand.storageGb)} GB`,
    provider:
      requests === null
        ? "no calls"
        : `${asked}${amount(requests)} requests${tokens === null ? "" : ` and ${amount(tokens)} tokens`} per minute`,
  });
}

const reasons: Readonly<Record<Plan["slotsBoundBy"], string>> = {
  you: "as you said",
  default: "the default",
  memory: "as its memory allows",
  thread: "as its one thread allows",
  limit: "the most there can be",
};

function busyHour({ demand, simulated }: Plan): Block {
  const { wait, callWait, utilisation } = simulated;
  const waits = [wait.p50Ms, wait.p95Ms, wait.p99Ms].map(duration).join(" / ");
  return fields({
    arriving: `${amount(demand.runsPerSecond * 3_600)} runs an hour`,
    "at once": `${amount(demand.runsAtOnce)} running, ${amount(demand.waitingAtOnce)} waiting for people or timers`,
    "wait to start": `${waits} (p50 / p95 / p99)`,
    queued: `${amount(simulated.queueDepthMax)} at most`,
    "calls wait": `${duration(callWait.p95Ms)} (p95) for the provider's quota`,
    busy: [
      `${percent(utilisation.slots)} of the slots`,
      ...(utilisation.requests === null ? [] : [`${percent(utilisation.requests)} of the quota`]),
      ...(utilisation.database === null ? [] : [`${percent(utilisation.database)} of the database`]),
    ].join(", "),
  });
}

function money({ monthly }: Plan): Block {
  const { totalUsd } = monthly;
  const rows = [
    ["model", monthly.modelUsd],
    ["workers", monthly.workersUsd],
    ["servers", monthly.serversUsd],
    ["PostgreSQL", monthly.postgresUsd],
    ["storage", monthly.storageUsd],
    ["total", totalUsd],
  ] as const;
  const strong = (name: string, text: string): Cell => (name === "total" ? toned("strong", text) : text);
  return table(
    rows.filter(([, usd]) => usd > 0),
    [
      { title: "for", cell: ([name]) => strong(name, name) },
      { title: "USD", align: "right", cell: ([name, usd]) => strong(name, usd < 10 ? usd.toFixed(2) : amount(usd)) },
      { title: "part", align: "right", cell: ([, usd]) => percent(usd / totalUsd) },
    ],
    "Nothing.",
  );
}

/** `0.3 %`, `48 %`. */
function percent(part: number): string {
  return `${part < 0.01 ? Number((part * 100).toPrecision(1)) : Math.round(part * 100)} %`;
}
