// The index against a real PostgreSQL: building, rebuilding, dying half way, and what a search returns.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Pool } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Corpus, openCorpus } from "../../../examples/demo/corpus.ts";
import { openDocuments } from "../../../examples/demo/documents.ts";
import { buildIndex, type Hit, mergeHits, readPassages, search } from "../../../examples/demo/search-index.ts";
import { type FreshDatabase, freshDatabase } from "../../support/postgres.ts";

let database: FreshDatabase;
let pool: Pool;
let root: string;

beforeAll(async () => {
  database = await freshDatabase({ migrated: false });
  pool = openDocuments(database.url);
});
afterAll(async () => {
  await pool.end();
  await database.drop();
});
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "longhaul-index-"));
  await pool.query("drop schema if exists demo cascade");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

const build = async () => buildIndex(pool, await openCorpus(root));
const paths = (hits: Hit[]) => hits.map((hit) => hit.path);
const stored = async () => (await pool.query("select id, path, xmin::text from demo.passages order by id")).rows;

function writeManyPages(pages: number): void {
  for (let page = 0; page < pages; page++)
    write(`docs/${page}.md`, `# Page ${page}\n\nText of the page number${page}.`);
}

describe("building", () => {
  it("indexes a corpus, tells its progress, and skips it while nothing has changed", async () => {
    writeManyPages(5);
    const progress: number[] = [];
    const options = { batchSize: 2, onProgress: (passages: number) => void progress.push(passages) };
    const first = await buildIndex(pool, await openCorpus(root), options);
    expect(first).toMatchObject({ skipped: false, pages: 5, passages: 5, removed: 0 });
    expect(progress).toEqual([2, 4, 5]);
    const second = await buildIndex(pool, await openCorpus(root), options);
    expect(second).toMatchObject({ skipped: true, pages: 5, passages: 5 });
    expect(progress).toEqual([2, 4, 5]);
  });

  it("after an edit replaces what changed, deletes what went, and does not touch the rest", async () => {
    write("docs/kept.md", "# Kept\n\nThis text stays as it is.");
    write("docs/edited.md", "# Edited\n\nThe text about walruses.");
    write("docs/gone.md", "# Gone\n\nThe text about penguins.");
    await build();
    const before = new Map((await stored()).map((row) => [row.path, row]));
    write("docs/edited.md", "# Edited\n\nThe text about narwhals.");
    rmSync(join(root, "docs/gone.md"));
    expect(await build()).toMatchObject({ skipped: false, passages: 2, removed: 2 });
    const after = new Map((await stored()).map((row) => [row.path, row]));
    expect([...after.keys()].sort()).toEqual(["docs/edited.md", "docs/kept.md"]);
    expect(after.get("docs/kept.md")).toEqual(before.get("docs/kept.md"));
    expect(await search(pool, "walruses")).toEqual([]);
    expect(paths(await search(pool, "narwhals"))).toEqual(["docs/edited.md"]);
  });

  it("follows a page that moved", async () => {
    write("docs/old.md", "# Moved\n\nThe text about lighthouses.");
    await build();
    rmSync(join(root, "docs/old.md"));
    write("docs/new.md", "# Moved\n\nThe text about lighthouses.");
    await build();
    expect(paths(await search(pool, "lighthouses"))).toEqual(["docs/new.md"]);
  });

  it("lets two builders at once do the work once", async () => {
    writeManyPages(20);
    const reports = await Promise.all([build(), build(), build()]);
    expect(reports.filter((report) => !report.skipped)).toHaveLength(1);
    expect(await stored()).toHaveLength(20);
  });

  it("keeps the old index when it is cancelled half way", async () => {
    write("docs/0.md", "# Old\n\nThe text about lighthouses.");
    await build();
    writeManyPages(6);
    const stop = new AbortController();
    const options = { batchSize: 1, signal: stop.signal, onProgress: () => stop.abort(new Error("enough")) };
    await expect(buildIndex(pool, await openCorpus(root), options)).rejects.toThrow("enough");
    expect(paths(await search(pool, "lighthouses"))).toEqual(["docs/0.md"]);
    expect(await build()).toMatchObject({ skipped: false, passages: 6 });
  });

  it("survives the death of its connection between two batches", async () => {
    writeManyPages(4);
    const corpus = await openCorpus(root);
    const dying: Corpus = {
      ...corpus,
      async *batches() {
        for await (const batch of corpus.batches({ batchSize: 2 })) {
          yield batch;
          await endBuildersConnection();
        }
      },
    };
    await expect(buildIndex(pool, dying)).rejects.toThrow(/terminat/i);
    expect(await buildIndex(pool, corpus)).toMatchObject({ skipped: false, passages: 4 });
  });

  it("killed half way leaves the old index whole, and the next build completes", async () => {
    write("docs/0.md", "# Old\n\nThe text about lighthouses.");
    await build();
    writeManyPages(300);
    await killBuilderAfterFirstBatch();
    expect(paths(await search(pool, "lighthouses"))).toEqual(["docs/0.md"]);
    expect(await stored()).toHaveLength(1);
    expect(await build()).toMatchObject({ skipped: false, pages: 300, passages: 300 });
    expect(await search(pool, "lighthouses")).toEqual([]);
  });
});

async function endBuildersConnection(): Promise<void> {
  const builders = "from pg_stat_activity where datname = current_database() and state = 'idle in transaction'";
  const ended = await pool.query(`select pg_terminate_backend(pid) ${builders}`);
  expect(ended.rowCount).toBe(1);
  await expect.poll(async () => (await pool.query(`select ${builders}`)).rowCount).toBe(0);
}

async function killBuilderAfterFirstBatch(): Promise<void> {
  const script = fileURLToPath(new URL("index-builder.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, database.url, root], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout, "data");
  expect(String(line)).toMatch(/^1\b/);
  child.kill("SIGKILL");
  const [code, signal] = await once(child, "exit");
  expect([code, signal]).toEqual([null, "SIGKILL"]);
}

describe("searching", () => {
  it("says what to do when there is no index", async () => {
    await expect(search(pool, "anything")).rejects.toThrow("call buildIndex() first");
    await expect(readPassages(pool, ["x"])).rejects.toThrow("call buildIndex() first");
  });

  it("finds stems, parts of identifiers and dotted names", async () => {
    write("README.md", "# Pools\n\nSet `idleTimeoutMillis` on a `pg.Pool` when connections are retried.");
    await build();
    for (const query of ["idle timeout", "idleTimeoutMillis", "pg.Pool", "pool", "retry connection", "Pooling"]) {
      expect(paths(await search(pool, query)), query).toEqual(["README.md"]);
    }
  });

  it("prefers passages with every word, and offers some of the words when none has them all", async () => {
    write("docs/both.md", "# Both\n\nA walrus meets a lighthouse at night.");
    write("docs/one.md", "# One\n\nA walrus sleeps on the ice all day long.");
    await build();
    expect(paths(await search(pool, "walrus lighthouse"))[0]).toBe("docs/both.md");
    expect(paths(await search(pool, "walrus submarine")).sort()).toEqual(["docs/both.md", "docs/one.md"]);
  });

  it("trusts a rare word more than common ones when it must choose", async () => {
    for (let page = 0; page < 30; page++)
      write(`docs/${page}.md`, `# Page ${page}\n\nCommon option value number${page}.`);
    write("docs/rare.md", "# Rare\n\nSomething about quicksilver only.");
    await build();
    expect(paths(await search(pool, "common option quicksilver"))[0]).toBe("docs/rare.md");
  });

  it("understands quoted phrases", async () => {
    write("docs/phrase.md", "# Phrase\n\nThe dead letter queue holds what failed.");
    write("docs/apart.md", "# Apart\n\nA letter came to the queue; the battery was dead.");
    await build();
    expect(paths(await search(pool, '"dead letter queue"'))).toEqual(["docs/phrase.md"]);
  });

  it("prefers a phrase in one piece to its words apart", async () => {
    write("docs/phrase.md", "# Phrase\n\nMany words stand here before the queue and the dead letter office come up.");
    write("docs/apart.md", "# Apart\n\nA queue: the letter came late, the queue is dead, queue after queue.");
    await build();
    expect(paths(await search(pool, '"dead letter" queue'))[0]).toBe("docs/phrase.md");
  });

  it("counts a heading for more than a mention in the text", async () => {
    write("docs/mention.md", "# Page one\n\nThe walrus rests on the ice, all day and all night.");
    write(
      "docs/heading.md",
      "# Page two\n\nAn introduction.\n\n## Walrus\n\nIt rests on the ice, all day and all night.",
    );
    await build();
    expect(paths(await search(pool, "walrus"))).toEqual(["docs/heading.md", "docs/mention.md"]);
  });

  it("puts the package that the query names before one that only mentions it", async () => {
    write("node_modules/pino/README.md", "# pino\n\nA logger that writes JSON lines.");
    write("node_modules/other/README.md", "# The pino logger\n\nA pino logger for every pino logger.");
    await build();
    expect(paths(await search(pool, "pino logger"))).toEqual([
      "node_modules/pino/README.md",
      "node_modules/other/README.md",
    ]);
  });

  it("returns no more than three passages of a page and k in all", async () => {
    const sections = Array.from(
      { length: 9 },
      (_, n) => `## Part ${n}\n\nThe walrus rests, for the ${n}th time today.`,
    );
    write("docs/long.md", `# Long\n\n${sections.join("\n\n")}`);
    for (let page = 0; page < 4; page++)
      write(`docs/${page}.md`, `# Short ${page}\n\nA walrus rests in number${page}.`);
    await build();
    const hits = await search(pool, "walrus rests", 20);
    expect(hits.filter((hit) => hit.path === "docs/long.md")).toHaveLength(3);
    expect(hits).toHaveLength(7);
    expect(await search(pool, "walrus rests", 2)).toHaveLength(2);
  });

  it.each([
    "",
    "   ",
    "the of and",
    "!!! ---",
    "'; drop table demo.passages; --",
    '"unbalanced walrus',
    "<-> & | ! :* \\",
    "\u{1f980}",
    "or",
    "-walrus",
  ])("takes %j as words, never as syntax", async (query) => {
    write("README.md", "# Walrus\n\nThe walrus rests on the ice.");
    await build();
    const hits = await search(pool, query);
    expect(paths(hits)).toEqual(query.includes("walrus") ? ["README.md"] : []);
  });

  it("reads passages whole, in the order asked for, without those that are gone", async () => {
    write("docs/a.md", "# A\n\nThe first of two texts.");
    write("docs/b.md", "# B\n\nThe second of two texts.");
    await build();
    const [a, b] = await Promise.all([search(pool, "first"), search(pool, "second")]);
    const ids = [b[0]?.id ?? "", "no-such-id", a[0]?.id ?? ""];
    const passages = await readPassages(pool, ids);
    expect(passages.map(({ body }) => body)).toEqual(["The second of two texts.", "The first of two texts."]);
    expect(a[0]).toMatchObject({
      title: "A",
      heading: "A",
      package: passages[0]?.package,
      snippet: "The first of two texts.",
    });
  });
});

describe("merging", () => {
  const hit = (id: string): Hit => ({ id, title: "", heading: "", path: id, package: "", snippet: "", score: 1 });

  it("puts first what several searches agree on", () => {
    const merged = mergeHits([
      [hit("a"), hit("b"), hit("c")],
      [hit("d"), hit("b")],
      [hit("e"), hit("b")],
    ]);
    expect(merged.map(({ id }) => id)).toEqual(["b", "a", "d", "e", "c"]);
    expect(mergeHits([[hit("a"), hit("b")]], 1).map(({ id }) => id)).toEqual(["a"]);
    expect(mergeHits([])).toEqual([]);
  });
});
