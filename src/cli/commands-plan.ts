// The command about an installation that does not exist yet: how large it would have to be.
import { command } from "./command.ts";
import { databaseSettings } from "./commands-shared.ts";
import type { Plan } from "./plan.ts";

export const planCommands = [
  command({
    path: "plan",
    group: "Installation",
    settings: databaseSettings,
    summary: "Say what a load needs, and the simplest way to run it",
    about:
      "Workers, PostgreSQL, provider quota, money. Simulates the busy hour and searches for the fewest workers that start 95 of 100 runs in time. Needs no database, except with --from-live. Prices and sizes are assumptions: --json lists them, --assume overrides them. Exit code 1 if the promise cannot be held.",
    flags: {
      tasksPerDay: { kind: "number", summary: "Runs that come in a day" },
      runMinutes: { kind: "number", summary: "Active minutes of a run, without waits for people (default: 5)" },
      runMinutesP95: { kind: "number", summary: "95 of 100 runs take at most this long (default: twice the average)" },
      callSeconds: { kind: "number", summary: "Instead of --run-minutes: from one model call of a run to the next" },
      callsPerRun: { kind: "number", summary: "Model calls of a run (default: 10)" },
      tokensPerCall: { kind: "number", summary: "Tokens of a call, input and output together (default: 3000)" },
      slaSeconds: { kind: "number", summary: "95 of 100 runs of the busy hour shall start within this (default: 30)" },
      peak: { kind: "number", summary: "How many times the average comes in the busy hour (default: 3)" },
      tenants: { kind: "number", summary: "Tenants among whom the runs are spread evenly (default: 1)" },
      tenantCap: { kind: "number", summary: "Runs of one tenant in flight at most (default: no cap)" },
      waitingShare: {
        kind: "number",
        summary: "Part of the runs that waits for a person or a timer, 0 to 1 (default: 0)",
      },
      waitHours: { kind: "number", summary: "How long those wait on average (default: 4)" },
      requestsPerMinute: { kind: "number", summary: "What the provider allows (default: say what to ask for)" },
      tokensPerMinute: { kind: "number", summary: "What the provider allows (default: say what to ask for)" },
      slots: { kind: "number", summary: "Slots of a worker (default: as many as memory and thread carry)" },
      workers: { kind: "number", summary: "Judge this number instead of searching for the smallest" },
      usdPerMillionTokens: { kind: "number", summary: "Price of the model (default: 2)" },
      memoryPerRunMb: { kind: "number", summary: "Memory of an active run (default: 20)" },
      workerUsdPerMonth: { kind: "number", summary: "Price of a machine for one worker (default: 50)" },
      retentionDays: { kind: "number", summary: "How long ended runs are kept (default: 30)" },
      assume: { kind: "json", summary: "Other assumptions to change: JSON, @file, or -" },
      seed: { kind: "number", summary: "Of the simulation; the same seed gives the same plan (default: 1)" },
      fromLive: {
        kind: "switch",
        summary: "Take what this installation measured in the last 7 days; flags go before it",
      },
    },
    examples: [
      {
        says: "A thousand tasks a day of five minutes with ten model calls each",
        line: "longhaul plan --tasks-per-day 1000 --run-minutes 5 --calls-per-run 10",
      },
      {
        says: "A promise of two seconds to 200 tenants, a third of whose runs wait for an approval",
        line: "longhaul plan --tasks-per-day 50000 --sla-seconds 2 --tenants 200 --tenant-cap 20 --waiting-share 0.33",
      },
      {
        says: "With the quota, the model and the machines you have",
        line: "longhaul plan --tasks-per-day 20000 --tokens-per-minute 2e6 --usd-per-million-tokens 0.6 --assume '{\"workerMemoryMb\":8192}'",
      },
      { says: "Ten times what this installation does now", line: "longhaul plan --from-live --tasks-per-day 10000" },
    ],
    load: async () => (await import("./plan.ts")).plan,
    view: async () => (await import("./view-plan.ts")).viewPlan,
    unwell: ({ holds }: Plan) => !holds,
  }),
];
