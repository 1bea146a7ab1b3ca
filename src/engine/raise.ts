// Raising a budget, and telling everybody who asked for that.
import { encodeValue } from "../domain/value.ts";
import { type BudgetRaise, pendingAsks, raiseBudget } from "../store/budgets.ts";
import type { Database } from "../store/database.ts";
import { resolveApproval } from "../store/read.ts";
import { isNone } from "./hold.ts";

/** `raised`: it was raised now. `before`: by an earlier try of the same. Null: the tenant has no such budget. */
export async function raise(
  db: Database,
  hint: (topic: "ready" | "inbox", runId: string) => void,
  tenant: string,
  budgetId: string,
  by: BudgetRaise,
): Promise<"raised" | "before" | null> {
  const did = await raiseBudget(db, tenant, budgetId, by);
  // One that was answered by another's raise has nothing to tell.
  if (did === null || (isNone(by.amount) && by.wallMs === 0)) return did;
  for (const { approval_id, run_id } of await pendingAsks(db, tenant, budgetId)) {
    if (approval_id === by.raiseId) continue;
    // Each has been answered by this: they try again, and raise nothing.
    const said = { status: "approved", by: by.by, comment: null, edited: true, args: { raiseBy: 0 } };
    const verdict = await resolveApproval(db, tenant, approval_id, "approved", by.by, encodeValue(said));
    if (verdict !== "resolved") continue;
    hint("ready", run_id);
    hint("inbox", run_id);
  }
  return did;
}
