// Finds the Markdown pages of a project and of every package it has installed, and reads them as passages.
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { splitMarkdown } from "./markdown.ts";

/** What is indexed, searched, read and cited: a section of a page, at most some 1,600 characters long. */
export interface Passage {
  /** Derived from the content, so that it stays the same on every machine and through every rebuild. */
  id: string;
  /** The page, relative to the project, with forward slashes. */
  path: string;
  /** The package the page belongs to, or the project's own name. */
  package: string;
  title: string;
  /** The headings the passage stands under, outermost first, joined by " › ". */
  heading: string;
  body: string;
  /** Its place among the passages of its page, from 0. */
  place: number;
  /** How much the kind of page counts in a search: 1 for documentation, less for changelogs and licences. */
  weight: number;
}

/** A set of pages, found and fingerprinted but not yet split. */
export interface Corpus {
  root: string;
  pages: number;
  /** Changes when a page is added, removed, moved or edited, and when the splitting rules change. */
  fingerprint: string;
  /** Reads the passages in a fixed order, without duplicates, `batchSize` (default 500) at a time. */
  batches(options?: { batchSize?: number; signal?: AbortSignal }): AsyncGenerator<Passage[]>;
}

// Raised whenever the same pages would give other passages, so that indexes built before are built again.
const splittingVersion = 1;
const pageBytesMax = 4 * 1024 * 1024;
const readsAtOnce = 32;
const boilerplate =
  /(?:^|› )\W*(?:authors?|backers|communication|contribut\w+|credits|licen[cs]e|maintainers|sponsor\w*)\W*$/i;
const skippedFolders = new Set(["coverage", "dist", "build", "node_modules"]);
// A text shorter than this ("MIT", "npm install") says something different in every package, so it stays.
const sharedBodyCharsMin = 200;

/**
 * Finds every Markdown page under `root`: the project's own and those of all packages in `node_modules`, nested ones
 * and scopes included. Symbolic links are not followed. Reads each page once, for the fingerprint.
 */
export async function openCorpus(root: string, options: { signal?: AbortSignal } = {}): Promise<Corpus> {
  const projectName = await nameOf(root);
  const paths = inReadingOrder(await findPages(root, options.signal));
  const hash = createHash("sha256").update(`v${splittingVersion}`);
  for await (const page of readAll(root, paths, options.signal)) {
    hash.update(`\0${page.path}\0`).update(createHash("sha256").update(page.text).digest());
  }
  return {
    root,
    pages: paths.length,
    fingerprint: hash.digest("hex"),
    batches: ({ batchSize = 500, signal } = {}) => passagesOf(root, paths, projectName, batchSize, signal),
  };
}

async function* passagesOf(
  root: string,
  paths: string[],
  projectName: string,
  batchSize: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Passage[]> {
  const seen = new Set<string>();
  let batch: Passage[] = [];
  for await (const page of readAll(root, paths, signal)) {
    for (const passage of splitPage(page.path, page.text, packageOf(page.path) ?? projectName)) {
      if (seen.has(passage.id)) continue;
      seen.add(passage.id);
      batch.push(passage);
      if (batch.length < batchSize) continue;
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}

/** Splits one page into its passages. Identical passages, also of different pages, have the same id. */
export function splitPage(path: string, text: string, packageName: string): Passage[] {
  const { title, sections } = splitMarkdown(text.replaceAll("\0", ""));
  const pageTitle = title ?? (/^readme\./i.test(basename(path)) ? packageName : `${packageName} ${basename(path)}`);
  return sections.map(({ heading, body }, place) => {
    const content = `${heading}\0${body}`;
    const identity = body.length < sharedBodyCharsMin ? `${packageName}\0${content}` : content;
    const id = createHash("sha256").update(identity).digest("hex").slice(0, 20);
    const about = { path, package: packageName, title: pageTitle, heading: heading || pageTitle };
    return { id, ...about, body, place, weight: weightOf(path, heading) };
  });
}

/** The package that owns a page in `node_modules` (`@scope/name` included), or null for the project's own pages. */
export function packageOf(path: string): string | null {
  const parts = path.split("/");
  const at = parts.lastIndexOf("node_modules");
  const name = parts[at + 1];
  if (at < 0 || name === undefined) return null;
  return name.startsWith("@") ? `${name}/${parts[at + 2] ?? ""}` : name;
}

function weightOf(path: string, heading: string): number {
  const name = basename(path).toLowerCase();
  if (/^(licen[cs]e|copying|notice|third)/.test(name)) return 0.2;
  if (/^(changelog|changes|history|release|code_of_conduct|security|contributing)/.test(name)) return 0.5;
  return boilerplate.test(heading) ? 0.5 : 1;
}

async function findPages(root: string, signal: AbortSignal | undefined): Promise<string[]> {
  const pages: string[] = [];
  const folders = [""];
  while (folders.length > 0) {
    signal?.throwIfAborted();
    const next = folders.splice(-readsAtOnce);
    const listings = await Promise.all(
      next.map(async (folder) => ({ folder, entries: await list(join(root, folder)) })),
    );
    for (const { folder, entries } of listings) {
      for (const entry of entries) {
        const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
        if (entry.isFile() && /\.(md|mdx|markdown)$/i.test(entry.name)) pages.push(path);
        if (entry.isDirectory() && isSearched(path, entry.name)) folders.push(path);
      }
    }
  }
  return pages;
}

function isSearched(path: string, name: string): boolean {
  if (name === "node_modules") return true;
  if (name.startsWith(".")) return name === ".pnpm";
  return path.includes("node_modules/") || !skippedFolders.has(name);
}

async function list(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}

async function* readAll(
  root: string,
  paths: string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<{ path: string; text: string }> {
  for (let at = 0; at < paths.length; at += readsAtOnce) {
    signal?.throwIfAborted();
    const pages = await Promise.all(paths.slice(at, at + readsAtOnce).map((path) => readPage(root, path)));
    for (const page of pages) if (page) yield page;
  }
}

async function readPage(root: string, path: string): Promise<{ path: string; text: string } | null> {
  try {
    const file = join(root, path);
    if ((await stat(file)).size > pageBytesMax) return null;
    return { path, text: await readFile(file, "utf8") };
  } catch (error) {
    // An install may be running beside us: a page that has just gone is no page.
    if (isGone(error)) return null;
    throw error;
  }
}

function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === "ENOENT" || code === "ENOTDIR" || code === "EACCES";
}

/** The project's pages first, then packages from the top of the tree down: the first of two equal passages is kept. */
function inReadingOrder(paths: string[]): string[] {
  const depth = (path: string) => path.split("node_modules/").length;
  return paths.sort((a, b) => depth(a) - depth(b) || (a < b ? -1 : 1));
}

async function nameOf(root: string): Promise<string> {
  try {
    const { name } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { name?: unknown };
    return typeof name === "string" && name !== "" ? name : basename(root);
  } catch {
    return basename(root);
  }
}
