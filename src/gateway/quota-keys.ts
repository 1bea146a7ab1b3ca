// From what the configuration says of a provider to the quotas that one call needs: their keys, and how much of each.
import type { TokenUsage } from "../domain/usage.ts";
import type { Estimate } from "./roles.ts";

/** What a quota counts. */
export type QuotaDimension = "rpm" | "rpd" | "tpm" | "tpd" | "itpm" | "otpm" | "concurrent";

/** One bucket: what all models that match the pattern share. */
export interface QuotaRule {
  readonly pattern: string;
  readonly limits: { readonly [Dimension in QuotaDimension]?: number | undefined } & { readonly countCached: boolean };
}

/** A provider as far as its limits go. Two of the same name, organisation and project are the same account. */
export interface LimitedProvider {
  readonly name: string;
  readonly organisation: string | null;
  readonly project: string | null;
  readonly limits: readonly QuotaRule[];
}

/** One quota as the database knows it. */
export interface Quota {
  readonly key: string;
  readonly dimension: QuotaDimension;
  readonly pattern: string;
  readonly limit: number;
  readonly countCached: boolean;
}

/** What is counted of a call: before it, by the estimate; after it, by what was used. */
export type Counted = Estimate | TokenUsage;
