// The commands about runs: submit, list, look, follow, move.
import { FINAL_STATES, LIVE_STATES } from "../domain/run.ts";
import { command } from "./command.ts";
import { by, clientSettings, runArg, timeout, wait } from "./commands-shared.ts";
import type { Submitted } from "./submit.ts";

const settings = clientSettings;
const group = "Runs";
const A_RUN = "01981f3e-5d6c-7c11-a1f0-0c0a4c5a9b21";
const didNotSucceed = ({ result }: Submitted): boolean => result !== undefined && result.status !== "succeeded";

export const runCommands = [
  command({
    path: "runs submit",
    group,
    settings,
    summary: "Submit a run of an agent",
    args: { agent: { summary: "Name of the agent" } },
    flags: {
      input: { kind: "json", short: "i", summary: "Its input: JSON, @file, or - for standard input" },
      thread: { kind: "text", placeholder: "id", summary: "Thread it belongs to" },
      ifBusy: {
        kind: "choice",
        choices: ["enqueue", "reject", "interrupt"],
        summary: "When the thread has an active run",
      },
      queue: { kind: "text", placeholder: "name", summary: "Queue it goes to (default: the agent's)" },
      priority: { kind: "count", max: 32_767, summary: "Within the tenant: 0 first (default: 100)" },
      key: { kind: "text", placeholder: "key", summary: "Idempotency key: the same key gives the same run" },
      runId: { kind: "text", placeholder: "uuid", summary: "Id of your choice" },
      concurrencyKey: {
        kind: "text",
        placeholder: "key",
        summary: "Runs of the agent with the same key run one at a time, or as many as the agent says",
      },
      startWithin: {
        kind: "text",
        placeholder: "duration",
        summary: "Give up (`expired`) when nobody has started it by then",
      },
      delay: { kind: "text", placeholder: "duration", summary: 'Not before this long, such as "10 minutes"' },
      metadata: { kind: "json", summary: "JSON object kept with the run" },
      wait,
      timeout,
    },
    examples: [
      { says: "Submit, and print its id", line: `longhaul runs submit researcher --input '{"question":"Why?"}'` },
      {
        says: "Submit, and print what it gives",
        line: "longhaul runs submit researcher --input @question.json --wait",
      },
    ],
    load: async () => (await import("./submit.ts")).submitRun,
    view: async () => (await import("./view-runs.ts")).viewSubmitted,
    unwell: didNotSucceed,
  }),
  command({
    path: "runs list",
    group,
    settings,
    summary: "List runs, the newest first",
    flags: {
      status: { kind: "choices", choices: [...LIVE_STATES, ...FINAL_STATES], summary: "Only these" },
      agent: { kind: "text", placeholder: "name", summary: "Only of this agent" },
      thread: { kind: "text", placeholder: "id", summary: "Only of this thread" },
      parent: { kind: "text", placeholder: "run", summary: "Only children of this run" },
      metadata: { kind: "json", summary: "Only those whose metadata contains this JSON object" },
      limit: { kind: "count", min: 1, max: 200, summary: "At most this many (default: 20)" },
      before: { kind: "text", placeholder: "run", summary: "Only those older than this run" },
    },
    examples: [
      { says: "What is under way", line: "longhaul runs list --status running,waiting" },
      { says: "Ids of the runs that failed", line: "longhaul runs list --status failed | jq -r '.[].runId'" },
    ],
    load: async () => (await import("./journal.ts")).listRuns,
    view: async () => (await import("./view-runs.ts")).viewRuns,
  }),
  command({
    path: "runs show",
    group,
    settings,
    summary: "Show a run with its steps, waits, children and result",
    args: { run: runArg },
    examples: [{ says: "Everything about one run", line: `longhaul runs show ${A_RUN}` }],
    load: async () => (await import("./journal.ts")).showRun,
    view: async () => (await import("./view-runs.ts")).viewRun,
  }),
  command({
    path: "runs watch",
    group,
    settings,
    summary: "Follow a run until it ends",
    about:
      "Every journaled event once and in order, also while workers and servers come and go; one JSON line each for a program. A terminal also shows what steps write while they run.",
    args: { run: runArg },
    flags: {
      after: { kind: "count", summary: "Only events after this one (default: 0, all)" },
      tokens: { kind: "switch", summary: "Also what steps write while they run (default: on a terminal)" },
    },
    examples: [
      { says: "Follow it", line: `longhaul runs watch ${A_RUN}` },
      {
        says: "Only what the agent emits",
        line: `longhaul runs watch ${A_RUN} | jq -c 'select(.kind == "emit") | .data'`,
      },
    ],
    load: async () => (await import("./stream.ts")).watchRun,
    view: async () => (await import("./view-events.ts")).eventViewer(),
  }),
  command({
    path: "runs why",
    group,
    settings,
    summary: "Say why a run does not move, and what would move it",
    args: { run: runArg },
    examples: [{ says: "Why does it wait?", line: `longhaul runs why ${A_RUN}` }],
    load: async () => (await import("./journal.ts")).explainRun,
    view: async () => (await import("./view-runs.ts")).viewWhy,
  }),
  command({
    path: "runs cancel",
    group,
    settings,
    summary: "Cancel a run and its children",
    args: { run: runArg },
    flags: { reason: { kind: "text", summary: "Why; kept with the run" } },
    examples: [{ says: "Stop it", line: `longhaul runs cancel ${A_RUN} --reason "asked twice"` }],
    load: async () => (await import("./finish.ts")).cancelRun,
    view: async () => (await import("./view-runs.ts")).viewCancelled,
  }),
  command({
    path: "runs retry",
    group,
    settings,
    summary: "Let a paused run go on, or try a failed one again",
    about: "A finished run becomes a new one that keeps every recorded success.",
    args: { run: runArg },
    flags: { by, wait, timeout },
    examples: [{ says: "Go on after a repair", line: `longhaul runs retry ${A_RUN}` }],
    load: async () => (await import("./submit.ts")).retryRun,
    view: async () => (await import("./view-runs.ts")).viewSubmitted,
    unwell: didNotSucceed,
  }),
  command({
    path: "runs fork",
    group,
    settings,
    summary: "Start a new run from the journal of another",
    args: { run: runArg },
    flags: {
      beforeStep: {
        kind: "text",
        placeholder: "key",
        summary: "Keep everything before this step (default: from the start)",
      },
      input: { kind: "json", short: "i", summary: "Another input: JSON, @file, or -" },
      wait,
      timeout,
    },
    examples: [
      { says: "The same again, from one step on", line: `longhaul runs fork ${A_RUN} --before-step answer` },
      { says: "From the start, with another input", line: `longhaul runs fork ${A_RUN} --input '{"question":"How?"}'` },
    ],
    load: async () => (await import("./submit.ts")).forkRun,
    view: async () => (await import("./view-runs.ts")).viewSubmitted,
    unwell: didNotSucceed,
  }),
  command({
    path: "signal",
    group,
    settings,
    summary: "Send a signal to a run",
    about: "It is kept if the run does not wait for it yet.",
    args: {
      run: runArg,
      name: { summary: "Name of the signal" },
      payload: { summary: "JSON, @file, or - for standard input", kind: "json", optional: true },
    },
    examples: [{ says: "Tell it that the money is there", line: `longhaul signal ${A_RUN} paid '{"amount":42}'` }],
    load: async () => (await import("./submit.ts")).signalRun,
    view: async () => (await import("./view-runs.ts")).viewSignalled,
  }),
];
