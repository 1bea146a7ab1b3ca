// What a run does when a budget that may be raised is spent: it asks a person, and waits like for any approval.
import { KIND } from "../domain/entry.ts";
import type { Askable } from "../domain/exceeded.ts";
import { hashInput } from "../domain/hash.ts";
import { approvalKey } from "../domain/message.ts";
import { NO_SPEND, type Spend, toNanoUsd } from "../domain/usage.ts";
import { encodeValue } from "../domain/value.ts";
import { untilAnswered } from "../store/patience.ts";
import { readApproval } from "../store/read.ts";
import type { Execution } from "./execution.ts";
import { newId } from "./ids.ts";
import { raise } from "./raise.ts";
import type { Replay } from "./replay.ts";
import type { Scope } from "./scope.ts";

/** What a step has asked before. */
export interface Asked {
  /** How often. */
  times: number;
  /** The last question. */
  approvalId: string | null;
}

interface Said {
  readonly status: "approved" | "denied";
  readonly by: string;
  readonly edited?: boolean;
  readonly args?: unknown;
}

/** Where the journal keeps a step's questions. No step has such a key: `!` follows the number of its occurrence. */
function askKey(key: string, time: number): string {
  return `${key}!budget#${time}`;
}

/**
 * What a step that is asked for has asked before. The answers are in the journal like others, and must be asked for in their turn; what
 * they said has been done, or is looked up when it matters.
 */
export function askedBefore(replay: Replay, key: string): Asked {
  const asked: Asked = { times: 0, approvalId: null };
  if (!replay.hasAsks) return asked;
  for (;;) {
    const opened = replay.opened(askKey(key, asked.times + 1));
    if (opened === undefined) return asked;
    asked.times += 1;
    asked.approvalId = opened.approvalId;
    const answered = askKey(key, asked.times);
    if (replay.find(answered) !== undefined) replay.request(answered, () => undefined);
  }
}

/** Asks for more, unless it has been asked and answered. True: the budget was raised, try again. False: denied. */
export async function mayGoOn(
  execution: Execution,
  scope: Scope,
  key: string,
  refusal: Askable,
  asked: Asked,
): Promise<boolean> {
  const earlier = asked.approvalId === null ? null : await statusOf(execution, asked.approvalId);
  if (earlier?.said?.status === "denied") return false;
  if (earlier?.said?.status === "approved" && (await act(execution, refusal, asked, earlier.said))) return true;
  if (earlier?.status !== "pending") {
    asked.times += 1;
    asked.approvalId = await execution.during(() => ask(execution, askKey(key, asked.times), refusal));
  }
  const said = await answer(execution, scope, askKey(key, asked.times), asked.approvalId as string);
  if (said.status === "denied") return false;
  await act(execution, refusal, asked, said);
  return true;
}

/** Raises the budget as the answer says. False when that answer has raised it before: it did not suffice. */
function act(execution: Execution, refusal: Askable, { approvalId }: Asked, said: Said): Promise<boolean> {
  const { owner, claim } = execution;
  const by = raiseBy(said, refusal);
  return execution.during(async () => {
    const did = await untilAnswered(
      () =>
        raise(owner.committer.db, owner.hint.bind(owner), claim.tenant_id, refusal.budgetId, {
          raiseId: approvalId as string,
          by: said.by,
          amount: amountOf(refusal, by),
          wallMs: refusal.dimension === "wallMinutes" ? by * 60_000 : 0,
        }),
      owner.committer.leaseMs,
    );
    return did === "raised";
  });
}

async function statusOf(
  execution: Execution,
  approvalId: string,
): Promise<{ readonly status: string; readonly said: Said | null } | null> {
  const { committer } = execution.owner;
  return execution.during(async () => {
    const read = () => readApproval(committer.db, execution.claim.tenant_id, approvalId);
    const row = await untilAnswered(read, committer.leaseMs);
    if (row === null) return null;
    const said = row.answer === null ? null : ((await execution.values.load(row.answer, null)) as Said);
    return { status: row.status, said };
  });
}

/** Writes the question down; it is visible then. Answers its id. */
async function ask(execution: Execution, stepKey: string, refusal: Askable): Promise<string> {
  const { budgetId, dimension, limit, spent, asked } = refusal;
  const request = encodeValue({ budgetId, dimension, limit, spent, asked });
  const approvalId = newId();
  const entry = execution.journal.compose(
    KIND.wait,
    stepKey,
    `"approval":"${approvalId}","label":"approval budget"`,
    request,
  );
  const approval = {
    approvalId,
    stepKey,
    kind: "approval" as const,
    name: "budget",
    request,
    requestBlob: null,
    requestHash: hashInput(request),
    expiresAt: null,
  };
  await execution.journal.add(entry, { approvals: [approval] });
  return approvalId;
}

function answer(execution: Execution, scope: Scope, key: string, approvalId: string): Promise<Said> {
  return new Promise((resolve) => {
    execution.waits.open({
      key,
      address: approvalKey(approvalId),
      scope,
      dueMs: null,
      label: "approval budget",
      group: null,
      approvalId: null,
      resolve: (resolution) => {
        if (resolution.by === "message") resolve(resolution.value as Said);
      },
    });
  });
}

/** By how much, in the dimension's unit: what the person wrote (`raiseBy`, or another `limit`), or else the same again. */
function raiseBy({ edited, args }: Said, { limit, asked }: Askable): number {
  const wanted = edited === true && typeof args === "object" && args !== null ? (args as Record<string, unknown>) : {};
  const { raiseBy: by, limit: newLimit } = wanted;
  if (typeof by === "number" && Number.isFinite(by) && by >= 0) return by;
  if (typeof newLimit === "number" && Number.isFinite(newLimit) && newLimit > limit) return newLimit - limit;
  return limit > 0 ? limit : Math.max(asked, 1);
}

export function amountOf({ dimension }: Pick<Askable, "dimension">, by: number): Spend {
  switch (dimension) {
    case "usd":
      return { ...NO_SPEND, nanoUsd: toNanoUsd(by) };
    case "wallMinutes":
      return NO_SPEND;
    default:
      return { ...NO_SPEND, [dimension]: Math.ceil(by) };
  }
}
