// Commands that end or settle something: cancel a run, and answer the questions that agents ask people.
import type { Approval, ApprovalStatus } from "../domain/approval.ts";
import type { Answer, CancelVerdict } from "../runtime/api.ts";
import type { Context } from "./context.ts";
import { withInstallation } from "./installation.ts";
import { whoami } from "./submit.ts";

export interface Cancelled {
  readonly runId: string;
  /** `cancelled` at once, `requested` from the worker that runs it, or `finished` before. */
  readonly verdict: CancelVerdict;
}

export function cancelRun(input: { run: string; reason?: string | undefined }, context: Context): Promise<Cancelled> {
  return withInstallation(context, async (tenant) => {
    return { runId: input.run, verdict: await tenant.cancel(input.run, input.reason) };
  });
}

export interface ApprovalsInput {
  readonly status?: ApprovalStatus | undefined;
  readonly run?: string | undefined;
  readonly limit?: number | undefined;
}

/** Those that wait for an answer, unless another status is asked for. */
export function listApprovals(input: ApprovalsInput, context: Context): Promise<Approval[]> {
  const { status = "pending", run, limit } = input;
  const filter = { status, ...(run === undefined ? {} : { runId: run }), ...(limit === undefined ? {} : { limit }) };
  return withInstallation(context, (tenant) => tenant.approvals(filter));
}

export interface AnswerInput {
  readonly approval: string;
  readonly by?: string | undefined;
  readonly comment?: string | undefined;
}

/** @throws APPROVAL_NOT_FOUND, APPROVAL_TAKEN, APPROVAL_EXPIRED, APPROVAL_GONE */
export function approve(input: AnswerInput & { readonly args?: unknown }, context: Context): Promise<Approval> {
  const answer: Answer = { ...answerOf(input), ...(input.args === undefined ? {} : { args: input.args }) };
  return withInstallation(context, (tenant) => tenant.approve(input.approval, answer));
}

/** @throws APPROVAL_NOT_FOUND, APPROVAL_TAKEN, APPROVAL_EXPIRED, APPROVAL_GONE */
export function deny(input: AnswerInput, context: Context): Promise<Approval> {
  return withInstallation(context, (tenant) => tenant.deny(input.approval, answerOf(input)));
}

function answerOf({ by, comment }: AnswerInput): Answer {
  return { by: by ?? whoami(), ...(comment === undefined ? {} : { comment }) };
}
