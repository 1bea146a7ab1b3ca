// The commands about dead letters: runs that failed for good, until somebody deals with them.
import { command, type FlagSpec } from "./command.ts";
import { by, clientSettings as settings } from "./commands-shared.ts";
import type { DeadProgress } from "./dead.ts";

const group = "Runs";
const A_RUN = "01981f3e-5d6c-7c11-a1f0-0c0a4c5a9b21";
const run = { summary: "Id of the run (or: those that the flags name)", optional: true } as const;
const filter = {
  agent: { kind: "text", placeholder: "name", summary: "Only of this agent" },
  queue: { kind: "text", placeholder: "name", summary: "Only of this queue" },
  code: { kind: "text", placeholder: "name", summary: "Only those that failed with this error" },
  since: {
    kind: "text",
    placeholder: "when",
    summary: 'Only those that died in the last "2 hours", or since 2030-01-31',
  },
} as const satisfies Record<string, FlagSpec>;
const many = {
  ...filter,
  all: { kind: "switch", summary: "All of the tenant" },
  limit: { kind: "count", min: 1, summary: "At most this many, the oldest first" },
} as const satisfies Record<string, FlagSpec>;
const someFailed = (news: DeadProgress): boolean => news.did === "done" && news.failed > 0;

export const deadCommands = [
  command({
    path: "dead list",
    group,
    settings,
    summary: "List runs that failed for good and those that are paused, the newest first",
    about:
      "A run is listed until somebody retries, edits or discards it. Children are not: their parents hear of them.",
    flags: { ...filter, limit: { kind: "count", min: 1, max: 200, summary: "At most this many (default: 50)" } },
    examples: [
      { says: "What needs somebody", line: "longhaul dead list" },
      {
        says: "What went wrong tonight, by error",
        line: "longhaul dead list --since '12 hours' | jq -r '.[].code' | sort | uniq -c",
      },
    ],
    load: async () => (await import("./dead.ts")).listDead,
    view: async () => (await import("./view-dead.ts")).viewDead,
  }),
  command({
    path: "dead retry",
    group,
    settings,
    summary: "Try again: one run, or all that the flags name",
    about:
      "Each becomes a new run that keeps every recorded success, and leaves the list in the same moment. A repeat makes no second one.",
    args: { run },
    flags: { ...many, by },
    examples: [
      { says: "This one", line: `longhaul dead retry ${A_RUN}` },
      { says: "What the outage killed", line: "longhaul dead retry --code TimeoutError --since '3 hours'" },
    ],
    load: async () => (await import("./dead.ts")).retryDead,
    view: async () => (await import("./view-dead.ts")).viewDeadProgress,
    unwell: someFailed,
  }),
  command({
    path: "dead edit",
    group,
    settings,
    summary: "Start a run anew, with another input",
    args: { run: { summary: "Id of the run" } },
    flags: { input: { kind: "json", short: "i", summary: "The input: JSON, @file, or - for standard input" } },
    examples: [{ says: "What was meant", line: `longhaul dead edit ${A_RUN} --input '{"question":"Why?"}'` }],
    load: async () => (await import("./dead.ts")).editDead,
    view: async () => (await import("./view-runs.ts")).viewSubmitted,
  }),
  command({
    path: "dead discard",
    group,
    settings,
    summary: "Take off the list: one run, or all that the flags name",
    about: "The runs stay, with what they failed with.",
    args: { run },
    flags: many,
    examples: [
      { says: "This one", line: `longhaul dead discard ${A_RUN}` },
      { says: "A whole list", line: "longhaul dead discard --all" },
    ],
    load: async () => (await import("./dead.ts")).discardDead,
    view: async () => (await import("./view-dead.ts")).viewDeadProgress,
    unwell: someFailed,
  }),
];
