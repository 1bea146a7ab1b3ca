// What came of a question to a person, as the agent's code sees it.
import type { Verdict } from "../domain/approval.ts";
import type { Resolution } from "../engine/waits.ts";

interface Answer<T> {
  readonly status: "approved" | "denied";
  readonly by: string;
  readonly comment: string | null;
  readonly edited: boolean;
  readonly args: T;
}

export function verdictOf<T>(resolution: Resolution, asked: T): Verdict<T> {
  if (resolution.by === "time")
    return { approved: false, status: "expired", args: asked, edited: false, by: null, comment: null };
  const { status, by, comment, edited, args } = resolution.value as Answer<T>;
  return { approved: status === "approved", status, args: edited ? args : asked, edited, by, comment };
}
