// An agent that asks a person before it acts, and waits for the answer as long as it takes: the waiting costs a row.
import { z } from "zod";
import { agent } from "../../src/index.ts"; // in a project of your own: from "longhaul"

export const refund = agent({
  name: "refund",
  description: "Pays a refund back: small ones at once, large ones when a person agrees",
  input: z.object({ order: z.string().min(1), amountUsd: z.number().positive() }),
  async run(ctx, { order, amountUsd }) {
    const proposal = await ctx.step("propose", () => ({ order, amountUsd, reason: "the parcel did not arrive" }));
    if (amountUsd <= 20) return pay(proposal.amountUsd, null);

    const verdict = await ctx.approval("refund", proposal, { expires: "3 days" });
    if (!verdict.approved) return { paidUsd: 0, decidedBy: verdict.by, status: verdict.status };
    // Not the proposal: what the approver made of it.
    return pay(verdict.args.amountUsd, verdict.by);

    function pay(paidUsd: number, decidedBy: string | null) {
      return ctx.step("pay", ({ idempotencyKey }) => {
        // A real one would hand the key to its payment provider, which then pays once however often it is asked.
        return { paidUsd, decidedBy, status: "paid", reference: idempotencyKey };
      });
    }
  },
});
