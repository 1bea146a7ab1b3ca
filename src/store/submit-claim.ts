// Takes a run in and gives a worker what it can start, in one statement: one round trip and one commit instead of two of each.
import { type Claimed, type ClaimRequest, claimValues } from "./claim.ts";
import type { Queryable } from "./database.ts";
import { type NewRun, SUBMIT, type Submitted, submitValues } from "./submit.ts";

// What the claim takes is said by the same function as always, whose statements see what the submit has written. That it comes second
// is said by its argument, which wants the submit's rows counted.
const SUBMIT_AND_CLAIM = `with told as materialized (${SUBMIT}
), taken as materialized (
  select c.* from (select count(*) as n from told) stored
   cross join lateral longhaul.claim($27, $28, $29, $30::text[], $31::smallint[], $32::bigint[], case when stored.n > 0 then $33::int end, $34) c
) select to_json(told) as told, taken.* from told full join taken on taken.run_id = told.run_id`;

export interface SubmittedAndClaimed {
  readonly told: Submitted;
  /** What the worker got, as a claim of its own would have: the run itself, or others that come before it. */
  readonly claims: Claimed[];
}

/** Stores a run whose input is inline, and claims for a worker. A repeat claims again: send it once, then submit alone. */
export async function submitAndClaim(db: Queryable, run: NewRun, request: ClaimRequest): Promise<SubmittedAndClaimed> {
  const rows = await db.query<(Claimed | { readonly run_id: null }) & { readonly told: Submitted | null }>(
    SUBMIT_AND_CLAIM,
    [...submitValues([run]), ...claimValues(request)],
    "lh_submit_and_claim",
  );
  const told = rows.find((row) => row.told !== null)?.told;
  if (!told) throw new Error("submit gave no row");
  return { told, claims: rows.flatMap((row) => (row.run_id === null ? [] : [row])) };
}
