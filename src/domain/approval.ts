// A question to a person: what was asked, who answered, and with what.

export type ApprovalStatus = "pending" | "approved" | "denied" | "expired" | "cancelled";

export interface Approval {
  readonly approvalId: string;
  readonly runId: string;
  readonly tenant: string;
  /** `approval` asks yes or no; `interrupt` asks for any value (LangGraph's word). */
  readonly kind: "approval" | "interrupt";
  readonly name: string;
  readonly agent: string;
  readonly request: unknown;
  /** Hash of exactly what was shown: an effect that acts on other arguments needs a new approval. */
  readonly requestHash: string;
  readonly status: ApprovalStatus;
  readonly requestedAt: string;
  readonly expiresAt: string | null;
  readonly resolvedAt: string | null;
  readonly resolvedBy: string | null;
  readonly answer: unknown;
}

/** What the agent gets back. `args` is what was asked, or what the approver made of it. */
export interface Verdict<T = unknown> {
  readonly approved: boolean;
  readonly status: "approved" | "denied" | "expired";
  readonly args: T;
  readonly edited: boolean;
  readonly by: string | null;
  readonly comment: string | null;
}
