// Questions and answers as people see them.
import type { Approval } from "../domain/approval.ts";
import { type Block, fields, table, toned } from "./blocks.ts";
import { ago, brief, full, status, until } from "./show.ts";

export function viewApprovals(approvals: readonly Approval[]): Block[] {
  return [
    table(
      approvals,
      [
        { title: "approval", cell: (one) => one.approvalId },
        { title: "agent", flexible: true, cell: (one) => one.agent },
        { title: "asks", flexible: true, cell: (one) => one.name },
        { title: "status", cell: (one) => status(one.status) },
        { title: "since", cell: (one) => ago(one.requestedAt) },
        { title: "expires", cell: (one) => (one.expiresAt === null ? toned("dim", "never") : until(one.expiresAt)) },
        { title: "request", flexible: true, cell: (one) => brief(one.request) },
      ],
      "Nobody waits for an answer.",
    ),
  ];
}

export function viewApproval(approval: Approval): Block[] {
  return [
    fields({
      approval: approval.approvalId,
      run: approval.runId,
      asked: `${approval.name} (${approval.agent})`,
      request: full(approval.request),
      status: status(approval.status),
      by: approval.resolvedBy,
      answer: approval.answer === null || approval.answer === undefined ? null : full(approval.answer),
    }),
  ];
}
