// Answering questions: exactly once, by whoever comes first, with the name of who it was.
import type { Approval } from "../domain/approval.ts";
import { fail } from "../domain/errors.ts";
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from "../domain/limits.ts";
import { encodeValue } from "../domain/value.ts";
import { listApprovals, readApproval, resolveApproval } from "../store/read.ts";
import type { Answer } from "./api.ts";
import type { Installation } from "./installation.ts";
import { checkUuid, isUuid } from "./uuid.ts";
import { approvalView } from "./views.ts";

export async function pendingApprovals(
  { db }: Installation,
  tenant: string,
  filter: { status?: Approval["status"]; runId?: string; limit?: number },
): Promise<Approval[]> {
  const runId = filter.runId === undefined ? null : checkUuid("run", filter.runId);
  const limit = Math.min(filter.limit ?? PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX);
  const rows = await listApprovals(db, tenant, { status: filter.status ?? null, runId, limit });
  return Promise.all(rows.map((row) => approvalView(db, row)));
}

/** @throws APPROVAL_NOT_FOUND, APPROVAL_TAKEN, APPROVAL_EXPIRED, APPROVAL_GONE */
export function decide(
  installation: Installation,
  tenant: string,
  approvalId: string,
  status: "approved" | "denied",
  answer: Answer,
): Promise<Approval> {
  const edited = answer.args !== undefined;
  const said = { status, by: answer.by, comment: answer.comment ?? null, edited, args: answer.args ?? null };
  return resolve(installation, tenant, approvalId, status, answer.by, said);
}

/** Answers an interrupt with a value. Throws as `decide`. */
export function answerInterrupt(
  installation: Installation,
  tenant: string,
  approvalId: string,
  value: unknown,
  by: string,
): Promise<Approval> {
  // An approval that is answered by a bare value counts as approved unless the value says otherwise.
  const denied =
    value === false ||
    (typeof value === "object" && value !== null && (value as { approved?: unknown }).approved === false);
  const status = denied ? "denied" : "approved";
  return resolve(installation, tenant, approvalId, status, by, {
    status,
    by,
    comment: null,
    edited: false,
    args: null,
    value,
  });
}

async function resolve(
  installation: Installation,
  tenant: string,
  approvalId: string,
  status: "approved" | "denied",
  by: string,
  said: Record<string, unknown>,
): Promise<Approval> {
  const { db, doorbell } = installation;
  if (!isUuid(approvalId)) throw fail("APPROVAL_NOT_FOUND", { approval: approvalId.slice(0, 100) });
  const verdict = await resolveApproval(db, tenant, approvalId, status, by, encodeValue(said));
  const row = await readApproval(db, tenant, approvalId);
  if (row === null) throw fail("APPROVAL_NOT_FOUND", { approval: approvalId });
  const approval = await approvalView(db, row);
  switch (verdict) {
    case "resolved":
      doorbell.ring("ready", approval.runId);
      doorbell.ring("inbox", approval.runId);
      return approval;
    case "taken":
      throw fail(
        "APPROVAL_TAKEN",
        { approval: approvalId, status: approval.status, by: approval.resolvedBy ?? "somebody" },
        { details: { winner: approval } },
      );
    case "unknown":
      throw fail("APPROVAL_NOT_FOUND", { approval: approvalId });
    case "expired":
      throw fail("APPROVAL_EXPIRED", { approval: approvalId });
    case "gone":
      if (approval.status === "approved" || approval.status === "denied") {
        throw fail(
          "APPROVAL_TAKEN",
          { approval: approvalId, status: approval.status, by: approval.resolvedBy ?? "somebody" },
          { details: { winner: approval } },
        );
      }
      throw fail("APPROVAL_GONE", { approval: approvalId });
  }
}
