// The whole retrieval line over the documents that are really installed: real questions, and what their answers must hold.
import { fileURLToPath } from "node:url";
import type { Pool } from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openCorpus } from "../../../examples/demo/corpus.ts";
import { openDocuments } from "../../../examples/demo/documents.ts";
import { createModel } from "../../../examples/demo/model.ts";
import { buildIndex, mergeHits, readPassages, search } from "../../../examples/demo/search-index.ts";
import { type FreshDatabase, freshDatabase } from "../../support/postgres.ts";

const project = fileURLToPath(new URL("../../..", import.meta.url));
const model = createModel({});
let database: FreshDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await freshDatabase({ migrated: false });
  pool = openDocuments(database.url);
  const corpus = await openCorpus(project);
  const report = await buildIndex(pool, corpus);
  // Fewer would mean that whole packages are not seen: the real number is some 250 pages.
  expect(report.pages).toBeGreaterThan(100);
  expect(report.passages).toBeGreaterThan(1_500);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});

async function ask(question: string) {
  const queries = await model.plan(question);
  const found = await Promise.all(queries.map((query) => search(pool, query, 6)));
  const passages = await readPassages(
    pool,
    mergeHits(found, 6).map((hit) => hit.id),
  );
  const answer = await model.answer(question, passages);
  for (const citation of answer.citations) {
    expect(passages.map(({ id }) => id)).toContain(citation.id);
    expect(answer.text).toContain(`[${citation.n}]`);
  }
  return answer;
}

it.each<[question: string, page: string, says: RegExp]>([
  ["What is Hono?", "hono/README.md", /web framework built on Web Standards/],
  ["How do I create a connection pool with pg?", "pg-pool/README.md", /new (?:pg\.)?Pool\(/],
  [
    "How do I make a variadic option in commander?",
    "commander/Readme.md",
    /appending `\.\.\.` to the value placeholder/,
  ],
  ["How do I validate data with zod without throwing an exception?", "zod/README.md", /safeParse/],
  ["How do I hide passwords in pino logs?", "pino/docs/redaction.md", /redact: \[/],
  [
    "What is the default value of maxThreads in piscina?",
    "piscina/",
    /default is the number provided by `os\.availableParallelism/,
  ],
  ["How do I abort a running task in piscina?", "piscina/", /AbortController|abortSignal/],
  ["How do I generate a version 7 uuid?", "uuid/README.md", /v7/],
  ["How do I serve static files with @hono/node-server?", "@hono/node-server/README.md", /serveStatic/],
  ["How do I disable the cache in jiti?", "jiti/README.md", /Disabling allows/],
  ["What does chokidar's awaitWriteFinish option do?", "chokidar/README.md", /poll file size/],
  ["What license does vitest have?", "vitest/LICENSE.md", /MIT/],
])("answers %j from %s", async (question, page, says) => {
  const { text, citations } = await ask(question);
  expect(citations.map(({ path }) => path).join("\n")).toContain(`node_modules/${page}`);
  expect(text).toMatch(says);
});

it.each([
  "Which river flows through Vienna?",
  "How can I retry failed promises with p-queue?",
  "How do I ignore files in knip?",
  "How do I configure Kafka partitions in Kubernetes?",
  "Who won the chess match in Reykjavik?",
])("does not pretend to know %j", async (question) => {
  const { text, citations } = await ask(question);
  expect(text).toContain("I found no answer to this in the indexed documents.");
  expect(citations).toEqual([]);
});
