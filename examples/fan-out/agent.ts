// An agent that gives each part of its work to a child run, waits for all of them holding nothing, and adds up what they say.
import { z } from "zod";
import { agent } from "../../src/index.ts"; // in a project of your own: from "longhaul"

const page = z.object({ title: z.string(), text: z.string() });

/** One page. A child is a run like any other: queued fairly, retried, taken over when its worker dies. */
export const readPage = agent({
  name: "read-page",
  description: "Counts the words of one page and finds its longest one",
  input: page,
  run: (ctx, { title, text }) =>
    ctx.step("read", () => {
      const words = text.match(/\p{L}+/gu) ?? [];
      const longest = words.reduce((best, word) => (word.length > best.length ? word : best), "");
      return { title, words: words.length, longest };
    }),
});

export const readBook = agent({
  name: "read-book",
  description: "Reads every page of a book at once, each in a run of its own",
  input: z.object({ pages: z.array(page).min(1).max(1_000) }),
  async run(ctx, { pages }) {
    const read = await ctx.map("pages", pages, readPage);
    return ctx.step("add up", () => ({
      pages: read.length,
      words: read.reduce((sum, { words }) => sum + words, 0),
      longest: read.reduce((best, { longest }) => (longest.length > best.length ? longest : best), ""),
    }));
  },
});
