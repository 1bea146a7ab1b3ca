// The offline rules on small passages: what is asked of the index, what is quoted, and when they admit to know nothing.
import { describe, expect, it } from "vitest";
import type { Passage } from "../../../examples/demo/corpus.ts";
import { offlineModel } from "../../../examples/demo/model-offline.ts";

const model = offlineModel();

function passage(name: string, heading: string, body: string): Passage {
  const path = `node_modules/${name}/README.md`;
  return { id: `${name}:${heading}`, path, package: name, title: name, heading, body, place: 1, weight: 1 };
}

const pool = passage(
  "pools",
  "Closing",
  "A pool must be closed before the process can exit.\n\nTo close a pool, call `pool.end()`:\n\n```js\nawait pool.end();\n```\n\nThe weather is nice today.",
);
const limits = passage(
  "pools",
  "Options",
  "- `queue`: The most callers that wait; the default value depends on the value of `max`.\n" +
    "- `max`: The most clients kept. Default is 10.",
);

it("is labelled as rules, in its name and in every answer", async () => {
  expect(model.offline).toBe(true);
  expect(model.name).toBe("offline rules, no LLM");
  for (const passages of [[pool], []]) {
    expect((await model.answer("How do I close a pool?", passages)).text).toContain("(offline rules, no LLM: ");
  }
});

describe("planning", () => {
  it.each([
    ["How do I create a connection pool with pg?", "create connection pool pg"],
    ["What does chokidar's awaitWriteFinish option do?", "chokidar awaitWriteFinish option"],
    ["Can semver check whether a version satisfies a range?", "semver check version satisfies range"],
  ])("begins %j with its key words", async (question, first) => {
    expect((await model.plan(question))[0]).toBe(first);
  });

  it("asks each question within a question, and repeats what it is about", async () => {
    const plan = await model.plan(
      "How do I infer the type of a zod schema, and how do I validate it without throwing?",
    );
    expect(plan.slice(0, 2)).toEqual(["infer type zod schema", "validate throwing zod"]);
  });

  it("asks for both sides of a comparison", async () => {
    const plan = await model.plan("What is the difference between micromatch globs and picomatch patterns?");
    expect(plan.slice(0, 2)).toEqual(["micromatch globs", "picomatch patterns"]);
  });

  it("tries the words that documentation uses instead", async () => {
    expect(await model.plan("How do I hide passwords in pino logs?")).toContain("pino redact");
  });

  it("searches for an error message as a phrase", async () => {
    expect(await model.plan('Why does pg say "connection terminated unexpectedly"?')).toContain(
      '"connection terminated unexpectedly"',
    );
  });

  it("gives one to five different queries for anything that has a word, and none for nothing", async () => {
    for (const question of ["How?", "?!", "x", "the the the", "Z".repeat(5_000), "a-b ".repeat(2_000), "👩‍🚀 launch"]) {
      const plan = await model.plan(question);
      expect(plan.length, question.slice(0, 20)).toBeGreaterThanOrEqual(1);
      expect(plan.length).toBeLessThanOrEqual(5);
      expect(new Set(plan).size).toBe(plan.length);
      for (const query of plan) expect(query.length).toBeLessThanOrEqual(200);
    }
    expect(await model.plan("  \n ")).toEqual([]);
  });
});

describe("answering", () => {
  it("quotes the fitting sentence with the code it announces, and cites it", async () => {
    const { text, citations } = await model.answer("How do I close a pool in pools?", [limits, pool]);
    expect(text).toContain("To close a pool, call `pool.end()` [1]:\n```js\nawait pool.end();\n```");
    expect(text).not.toContain("weather");
    expect(citations).toEqual([{ n: 1, id: pool.id, path: pool.path, heading: "Closing" }]);
  });

  it("prefers the entry that explains an option to one that mentions it", async () => {
    const { text } = await model.answer("What is the default value of max in pools?", [pool, limits]);
    expect(text.split("\n")[0]).toBe("`max`: The most clients kept. Default is 10. [1]");
  });

  it("numbers its citations from 1, each used in the text", async () => {
    const { text, citations } = await model.answer("How do I close a pool, and what is the default of max in pools?", [
      pool,
      limits,
    ]);
    expect(citations.map(({ n }) => n)).toEqual(citations.map((_, index) => index + 1));
    expect(citations.map(({ id }) => id).sort()).toEqual([pool.id, limits.id].sort());
    for (const { n } of citations) expect(text).toContain(`[${n}]`);
  });

  it("says that it does not know, and what nobody mentions", async () => {
    const { text, citations } = await model.answer("How do I configure Kafka partitions?", [pool, limits]);
    expect(citations).toEqual([]);
    expect(text).toContain("I found no answer to this in the indexed documents.");
    expect(text).toContain('Nothing found mentions "Kafka" or "partitions".');
  });

  it("names the part of a question that it cannot answer", async () => {
    const { text, citations } = await model.answer("How do I close a pool, and how do I paint walruses?", [pool]);
    expect(citations.map(({ id }) => id)).toEqual([pool.id]);
    expect(text).toMatch(/I found no answer to "how do I paint walruses\b/);
  });

  it("says so when nothing was found at all", async () => {
    const { text, citations } = await model.answer("What is a walrus?", []);
    expect(citations).toEqual([]);
    expect(text).toContain("I found no answer");
  });

  it("gives the same answer every time, and none once cancelled", async () => {
    const ask = () => model.answer("How do I close a pool?", [limits, pool]);
    expect(await ask()).toEqual(await ask());
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(model.answer("How?", [pool], { signal })).rejects.toThrow("enough");
    await expect(model.plan("How?", { signal })).rejects.toThrow("enough");
  });
});
