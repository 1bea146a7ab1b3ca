// The stand-in for a language model: rules that pick queries and quote sentences, so that the demo needs no network.
import type { Model } from "./model-contract.ts";
import { composeAnswer } from "./offline-answer.ts";
import { planQueries } from "./offline-plan.ts";

/** Said of every answer, so that nobody takes quoted sentences for a model's understanding. */
export const offlineLabel = "offline rules, no LLM";

/** Rules instead of a model: deterministic, free, and quick enough to need no cancelling. */
export function offlineModel(): Model {
  return {
    name: offlineLabel,
    offline: true,
    plan: async (question, options) => {
      options?.signal?.throwIfAborted();
      return planQueries(question);
    },
    answer: async (question, passages, options) => {
      options?.signal?.throwIfAborted();
      const { text, citations } = composeAnswer(question, passages);
      const how = citations.length > 0 ? "sentences quoted from the pages cited" : "nothing quoted";
      return { text: `${text}\n\n(${offlineLabel}: ${how})`, citations };
    },
  };
}
