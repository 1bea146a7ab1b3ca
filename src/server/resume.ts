// LangGraph's `command.resume` for runs that wait: which question a value answers, and what it means as an answer.
import type { Approval } from "../domain/approval.ts";
import { fail } from "../domain/errors.ts";
import { PAGE_SIZE_MAX } from "../domain/limits.ts";
import type { Tenant } from "../runtime/api.ts";
import { invalid, isUuid } from "./request.ts";
import { pendingOf } from "./standstill.ts";

interface Reply {
  readonly asked: Approval;
  readonly value: unknown;
}

/**
 * Answers the run's pending question with `value`, or several with a map from interrupt id to value. All replies are understood
 * before the first is given.
 *
 * @throws NOTHING_TO_RESUME, RESUME_AMBIGUOUS, REQUEST_INVALID, APPROVAL_NOT_FOUND, APPROVAL_TAKEN, APPROVAL_EXPIRED, APPROVAL_GONE
 */
export async function answer(tenant: Tenant, runId: string, value: unknown, by: string): Promise<void> {
  const gives = (await repliesOf(tenant, runId, value)).map((reply) => understand(tenant, reply, by));
  for (const give of gives) await give();
}

async function repliesOf(tenant: Tenant, runId: string, value: unknown): Promise<Reply[]> {
  if (isReplyMap(value)) {
    const asked = await tenant.approvals({ runId, limit: PAGE_SIZE_MAX });
    return Object.entries(value).map(([id, given]) => {
      const found = asked.find(({ approvalId }) => approvalId === id.toLowerCase());
      if (found === undefined) throw fail("APPROVAL_NOT_FOUND", { approval: id });
      return { asked: found, value: given };
    });
  }
  const pending = await pendingOf(tenant, runId);
  const [only, ...others] = pending;
  if (only === undefined) throw fail("NOTHING_TO_RESUME", { run: runId });
  if (others.length > 0) {
    const interrupts = pending.map(({ approvalId, name }) => ({ id: approvalId, name }));
    throw fail("RESUME_AMBIGUOUS", { run: runId, count: pending.length }, { details: { interrupts } });
  }
  return [{ asked: only, value }];
}

function isReplyMap(value: unknown): value is Record<string, unknown> {
  if (!isObject(value)) return false;
  const keys = Object.keys(value);
  return keys.length > 0 && keys.every(isUuid);
}

function understand(tenant: Tenant, { asked, value }: Reply, by: string): () => Promise<unknown> {
  if (asked.kind === "interrupt") return () => tenant.resume(asked.approvalId, value, by);
  const { approved, comment, args } = verdictOf(value);
  const given = { by, ...(comment === undefined ? {} : { comment }), ...(args === undefined ? {} : { args }) };
  return () => (approved ? tenant.approve(asked.approvalId, given) : tenant.deny(asked.approvalId, given));
}

interface Decision {
  readonly approved: boolean;
  readonly comment?: string | undefined;
  readonly args?: unknown;
}

/** `true`, `{ approved, comment?, args? }`, or what chat interfaces send: `{ decisions: [{ type, … }] }`, `[{ type, … }]`. */
function verdictOf(value: unknown): Decision {
  if (typeof value === "boolean") return { approved: value };
  if (isObject(value) && typeof value.approved === "boolean") {
    return { approved: value.approved, comment: textOf(value.comment), args: value.args };
  }
  const listed = isObject(value) && Array.isArray(value.decisions) ? value.decisions : value;
  const decision: unknown = Array.isArray(listed) && listed.length === 1 ? listed[0] : listed;
  const verdict = isObject(decision) ? typedDecision(decision) : null;
  if (verdict !== null) return verdict;
  const message = "an approval is answered with true, false, { approved, comment, args } or { decisions: [{ type }] }";
  throw invalid([{ path: "command.resume", message }]);
}

function typedDecision(decision: Record<string, unknown>): Decision | null {
  const comment = textOf(decision.message ?? decision.comment);
  switch (decision.type) {
    case "approve":
    case "accept":
      return { approved: true, comment };
    case "edit": {
      const edited = decision.edited_action ?? decision.editedAction ?? decision.args;
      return { approved: true, comment, args: isObject(edited) && "args" in edited ? edited.args : edited };
    }
    case "reject":
    case "deny":
    case "ignore":
      return { approved: false, comment };
    default:
      return null;
  }
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
