// The commands for people who answer what agents ask.
import type { ApprovalStatus } from "../domain/approval.ts";
import { command } from "./command.ts";
import { by, clientSettings } from "./commands-shared.ts";

const STATUSES = ["pending", "approved", "denied", "expired", "cancelled"] as const satisfies readonly ApprovalStatus[];
const settings = clientSettings;
const group = "People";
const AN_APPROVAL = "01981f40-1f3b-7a52-8c55-7d2f6a0e4c10";
const approval = { summary: "Id of the approval" } as const;
const comment = { kind: "text", summary: "Kept with the answer, and given to the agent" } as const;

export const peopleCommands = [
  command({
    path: "approvals list",
    group,
    settings,
    summary: "List the questions that wait for an answer",
    flags: {
      status: { kind: "choice", choices: STATUSES, summary: "Others than those that are pending" },
      run: { kind: "text", placeholder: "run", summary: "Only of this run" },
      limit: { kind: "count", min: 1, max: 200, summary: "At most this many" },
    },
    examples: [{ says: "What waits for you", line: "longhaul approvals list" }],
    load: async () => (await import("./finish.ts")).listApprovals,
    view: async () => (await import("./view-people.ts")).viewApprovals,
  }),
  command({
    path: "approvals approve",
    group,
    settings,
    summary: "Say yes, to what was asked or to an edited form of it",
    args: { approval },
    flags: {
      by,
      comment,
      args: { kind: "json", summary: "Edited arguments: JSON, @file, or - (default: what was asked)" },
    },
    examples: [
      { says: "Yes", line: `longhaul approvals approve ${AN_APPROVAL} --by ada` },
      { says: "Yes, but a smaller amount", line: `longhaul approvals approve ${AN_APPROVAL} --args '{"amount":10}'` },
    ],
    load: async () => (await import("./finish.ts")).approve,
    view: async () => (await import("./view-people.ts")).viewApproval,
  }),
  command({
    path: "approvals deny",
    group,
    settings,
    summary: "Say no",
    args: { approval },
    flags: { by, comment },
    examples: [{ says: "No, and why", line: `longhaul approvals deny ${AN_APPROVAL} --comment "too expensive"` }],
    load: async () => (await import("./finish.ts")).deny,
    view: async () => (await import("./view-people.ts")).viewApproval,
  }),
];
