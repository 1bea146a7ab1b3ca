// What others may tell a run, and the keys by which a wait recognises it.

export type MessageKind = "signal" | "answer" | "child" | "nudge";

export interface Message {
  readonly runId: string;
  readonly seq: number;
  readonly kind: MessageKind;
  readonly key: string;
  readonly body: string | null;
  readonly blob: string | null;
}

export const signalKey = (name: string): string => `signal:${name}`;
export const approvalKey = (approvalId: string): string => `approval:${approvalId}`;
export const childKey = (runId: string): string => `child:${runId}`;
/** The child's id again. */
export const childOf = (key: string): string => key.slice("child:".length);
/** Tells a step that was put off that its item is answered. */
export const itemKey = (itemId: string): string => `batch:${itemId}`;
export const timerKey = (stepKey: string): string => `timer:${stepKey}`;
