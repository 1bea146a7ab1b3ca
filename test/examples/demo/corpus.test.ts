// Which pages are found, in which order, and what makes two passages one.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Corpus, openCorpus, type Passage, packageOf } from "../../../examples/demo/corpus.ts";

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "longhaul-corpus-"));
  write("package.json", '{ "name": "the-project" }');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

async function passagesOf(corpus: Corpus, batchSize?: number): Promise<Passage[]> {
  const passages: Passage[] = [];
  for await (const batch of corpus.batches(batchSize === undefined ? {} : { batchSize })) passages.push(...batch);
  return passages;
}

const prose = (subject: string) => `# ${subject}\n\nThis page is about ${subject} and nothing else.\n`;

it("finds the project's pages and those of every package, nested and scoped ones included", async () => {
  write("README.md", prose("project"));
  write("docs/guide.mdx", prose("guide"));
  write("node_modules/plain/readme.MD", prose("plain"));
  write("node_modules/@scope/name/docs/deep/page.markdown", prose("scoped"));
  write("node_modules/plain/node_modules/inner/README.md", prose("inner"));
  write("node_modules/plain/dist/notes.md", prose("notes"));
  write("dist/README.md", prose("build output"));
  write(".git/README.md", prose("hidden"));
  write("src/main.ts", "export {};");
  const corpus = await openCorpus(root);
  const passages = await passagesOf(corpus);
  expect(corpus.pages).toBe(6);
  expect(passages.map(({ path, package: name }) => [path, name])).toEqual([
    ["README.md", "the-project"],
    ["docs/guide.mdx", "the-project"],
    ["node_modules/@scope/name/docs/deep/page.markdown", "@scope/name"],
    ["node_modules/plain/dist/notes.md", "plain"],
    ["node_modules/plain/readme.MD", "plain"],
    ["node_modules/plain/node_modules/inner/README.md", "inner"],
  ]);
});

it("does not follow a symbolic link, so that a cycle cannot hold it", async () => {
  write("docs/page.md", prose("page"));
  symlinkSync(root, join(root, "docs", "again"));
  expect((await openCorpus(root)).pages).toBe(1);
});

it("tells the package of any path", () => {
  expect(packageOf("README.md")).toBeNull();
  expect(packageOf("node_modules/pg/README.md")).toBe("pg");
  expect(packageOf("node_modules/@hono/node-server/docs/x.md")).toBe("@hono/node-server");
  expect(packageOf("node_modules/.pnpm/a@1.0.0/node_modules/a/README.md")).toBe("a");
});

it("keeps one of two equal long passages, and both of two equal short ones of different packages", async () => {
  const long = `# Shared\n\n${"The same explanation stands here word by word. ".repeat(6)}\n`;
  write("node_modules/a/README.md", `${long}\n## License\n\nUnder the MIT license.`);
  write("node_modules/b/README.md", `${long}\n## License\n\nUnder the MIT license.`);
  write("node_modules/c/node_modules/a/README.md", `${long}\n## License\n\nUnder the MIT license.`);
  const passages = await passagesOf(await openCorpus(root));
  expect(passages.map(({ path, heading }) => `${path} ${heading}`)).toEqual([
    "node_modules/a/README.md Shared",
    "node_modules/a/README.md License",
    "node_modules/b/README.md License",
  ]);
});

it("gives a passage the same id wherever the project lies, and another one when its text changes", async () => {
  write("README.md", `${prose("first")}\n## Second part\n\nWords that stay as they are.\n`);
  const before = await passagesOf(await openCorpus(root));
  write("README.md", `${prose("changed")}\n## Second part\n\nWords that stay as they are.\n`);
  const after = await passagesOf(await openCorpus(root));
  expect(after[0]?.id).not.toBe(before[0]?.id);
  expect(after[1]?.id).toBe(before[1]?.id);
});

it("changes its fingerprint with a page's text or path and with nothing else", async () => {
  write("README.md", prose("page"));
  const first = (await openCorpus(root)).fingerprint;
  write("src/other.ts", "export {};");
  write("README.md", prose("page"));
  expect((await openCorpus(root)).fingerprint).toBe(first);
  write("README.md", prose("cage"));
  const edited = (await openCorpus(root)).fingerprint;
  write("docs/README.md", prose("cage"));
  const added = (await openCorpus(root)).fingerprint;
  expect(new Set([first, edited, added]).size).toBe(3);
});

it("hands out full batches in a fixed order, and less only at the end", async () => {
  for (let page = 0; page < 7; page++) write(`docs/${page}.md`, prose(`page number ${page}`));
  const corpus = await openCorpus(root);
  const sizes: number[] = [];
  for await (const batch of corpus.batches({ batchSize: 3 })) sizes.push(batch.length);
  expect(sizes).toEqual([3, 3, 1]);
  expect(await passagesOf(corpus, 2)).toEqual(await passagesOf(corpus, 5));
});

it("counts changelogs, licences and thanks for less than documentation", async () => {
  write("README.md", `${prose("page")}\n## Contributors\n\nThanks to all who helped.`);
  write("CHANGELOG.md", prose("changes"));
  write("LICENSE.md", prose("license"));
  const weights = new Map((await passagesOf(await openCorpus(root))).map((p) => [`${p.path} ${p.heading}`, p.weight]));
  const guide = weights.get("README.md page") ?? 0;
  for (const name of ["README.md Contributors", "CHANGELOG.md changes", "LICENSE.md license"]) {
    expect(weights.get(name)).toBeLessThan(guide);
  }
});

it("stops when it is cancelled", async () => {
  for (let page = 0; page < 40; page++) write(`docs/${page}.md`, prose(`page number ${page}`));
  await expect(openCorpus(root, { signal: AbortSignal.abort(new Error("enough")) })).rejects.toThrow("enough");
  const stop = new AbortController();
  const batches = (await openCorpus(root)).batches({ batchSize: 1, signal: stop.signal });
  await batches.next();
  stop.abort(new Error("enough"));
  const drain = async () => {
    while (!(await batches.next()).done);
  };
  await expect(drain()).rejects.toThrow("enough");
});
