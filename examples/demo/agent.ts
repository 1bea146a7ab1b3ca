// A retrieval agent: plans searches, runs them, reads what they found, and answers with citations. Each of these is a step.
import { z } from "zod";
import { agent } from "../../src/index.ts";
import { documents, ensureIndex } from "./documents.ts";
import { createModel } from "./model.ts";
import { type Hit, mergeHits, readPassages, search } from "./search-index.ts";
import { witnessed } from "./witness.ts";

const HITS_PER_SEARCH = 6;
const PASSAGES_READ = 6;

export const research = agent({
  name: "research",
  description: "Answers a question from the Markdown pages of this project and its dependencies, with citations",
  input: z.object({
    question: z.string().trim().min(1).max(500),
    /** At most this many searches. */
    searches: z.number().int().min(1).max(5).default(5),
    /** Rules instead of a language model, also where a key is set. */
    offline: z.boolean().default(false),
  }),
  async run(ctx, { question, searches, offline }) {
    const watched = witnessed(ctx);
    const model = createModel(offline ? {} : process.env);

    await ctx.step("index", watched(ensureIndex));
    const queries = await ctx.step(
      "plan",
      watched(({ abort }) => model.plan(question, { signal: abort })),
    );
    const found: Hit[][] = [];
    for (const query of queries.slice(0, searches)) {
      const hits = await ctx.step(
        "search",
        { input: query },
        watched(() => search(documents(), query, HITS_PER_SEARCH)),
      );
      found.push(hits);
    }
    const ids = mergeHits(found, PASSAGES_READ).map(({ id }) => id);
    const passages = await ctx.step(
      "read",
      watched(() => readPassages(documents(), ids)),
    );
    return ctx.step(
      "answer",
      watched(async ({ abort }) => {
        const { text, citations } = await model.answer(question, passages, { signal: abort });
        return { question, answer: text, citations, model: model.name };
      }),
    );
  },
});
