// What a plan should say beside its figures.
import type { Question } from "./question.ts";
import type { Shape } from "./shapes.ts";
import type { Slots } from "./slots.ts";

export interface Noted {
  readonly question: Question;
  readonly fitting: Slots;
  /** The quota that was given is too small. */
  readonly short: boolean;
  readonly workers: number;
  readonly shape: Shape;
}

export function notesOn({ question, fitting, short, workers, shape }: Noted): string[] {
  const notes: string[] = [];
  if (short)
    notes.push(
      "The provider quota you gave does not carry the busy hour; the one shown would, and the rest is sized for it.",
    );
  if (fitting.slots > fitting.carries)
    notes.push(`A worker as assumed carries ${fitting.carries} runs at once; give it more memory, or fewer slots.`);
  if (workers === 1)
    notes.push(
      "One worker is replaced in seconds when it dies; a machine that dies is down until somebody starts another.",
    );
  if (shape.name === "many clusters")
    notes.push(
      "Spreading tenants over clusters is done by you: one installation per cluster, each with its own tenants.",
    );
  if (question.peak === 1) notes.push("A day without a busy hour is rare: measure yours, or plan with --peak 3.");
  notes.push(
    "Prices and sizes are assumptions: override what you know better, and measure before you grow (--from-live).",
  );
  return notes;
}
