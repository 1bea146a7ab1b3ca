// Every runnable example in the documentation runs, as it stands, against a real PostgreSQL.
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freshDatabase } from "./support/postgres.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");

async function markdownFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.name.endsWith(".md")).map((entry) => join(entry.parentPath, entry.name));
}

function examples(text: string): string[] {
  return [...text.matchAll(/^```ts run\n(.*?)^```/gms)].map((match) => match[1] as string);
}

describe("documentation", async () => {
  const pages = [join(root, "README.md"), ...(await markdownFiles(join(root, "docs")))];
  const texts = await Promise.all(
    pages.map(async (page) => ({ page: page.slice(root.length + 1), text: await readFile(page, "utf8") })),
  );
  const all = texts.flatMap(({ page, text }) => examples(text).map((code, i) => ({ page, number: i + 1, code })));
  let database: Awaited<ReturnType<typeof freshDatabase>>;
  let folder: string;

  beforeAll(async () => {
    database = await freshDatabase();
    // Inside the checkout, so that the examples find the same packages; `longhaul` is this source.
    folder = await mkdtemp(join(root, "node_modules", ".docs-"));
    await mkdir(join(folder, "node_modules", "longhaul"), { recursive: true });
    await symlink(join(root, "src"), join(folder, "node_modules", "longhaul", "src"));
    await writeFile(join(folder, "package.json"), '{"type":"module"}');
    await writeFile(
      join(folder, "node_modules", "longhaul", "package.json"),
      JSON.stringify({ name: "longhaul", type: "module", exports: { ".": "./src/index.ts" } }),
    );
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await database.drop();
  });

  it("has runnable examples", () => {
    expect(all.length).toBeGreaterThanOrEqual(5);
  });

  it.each(all)("$page, example $number", { timeout: 60_000 }, async ({ page, number, code }) => {
    const file = join(folder, `${page.replace(/\W/g, "_")}_${number}.ts`);
    await writeFile(file, code);
    const { stdout } = await run(process.execPath, ["--import", "tsx", file], {
      cwd: root,
      env: { ...process.env, DATABASE_URL: database.url },
      timeout: 55_000,
    });
    expect(stdout.trim()).not.toBe("");
    for (const expected of code.matchAll(/console\.log\(await [^\n]*\/\/ (\S+)$/gm))
      expect(stdout).toContain(expected[1]);
  });

  it.each(texts)("$page has no dead links", async ({ page, text }) => {
    const targets = [...text.matchAll(/\]\((?!https?:)([^)#\s]+)[^)]*\)/g)].map((match) => match[1] as string);
    for (const target of targets)
      await expect(
        readFile(join(root, page, "..", target)).catch(() => null),
        target,
      ).resolves.not.toBeNull();
  });
});
