// The programs that tests start, as JavaScript: a process that has nothing to translate is there in half the time, and tests start
// hundreds of them. Made by the global set-up, file by file, as `bench/lab/typescript.mjs` would.
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUILT = join(ROOT, ".built");
const FOLDERS = ["src", "test", "examples"];
/** Read by programs at their place beside `src`. */
const BESIDE = ["sql", "package.json", "dist"];
/** What a relative import of a source names. */
const SPECIFIER = /(\bfrom\s*|\bimport\s*\(?\s*|\bnew URL\(\s*)(["'])(\.{1,2}\/[^"'\n]+)\.ts\2/g;

/** Where the JavaScript of a source is; a file from elsewhere is where it is. */
export function built(source: URL): string {
  const path = fileURLToPath(source);
  const place = relative(ROOT, path);
  return FOLDERS.some((folder) => place.startsWith(`${folder}/`)) ? join(BUILT, place).replace(/\.ts$/, ".js") : path;
}

/** Brings all of it up to date. */
export async function buildPrograms(): Promise<void> {
  await mkdir(BUILT, { recursive: true });
  for (const name of BESIDE) await symlink(join("..", name), join(BUILT, name)).catch(() => undefined);
  await Promise.all(FOLDERS.map(buildFolder));
}

async function buildFolder(folder: string): Promise<void> {
  const entries = await readdir(join(ROOT, folder), { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
  const wanted = new Set(files.map((file) => file.replace(/\.ts$/, ".js")));
  await removeOthers(folder, wanted);
  await Promise.all(files.map(buildFile));
}

/** Of sources that are gone. */
async function removeOthers(folder: string, wanted: ReadonlySet<string>): Promise<void> {
  if (!existsSync(join(BUILT, folder))) return;
  const entries = await readdir(join(BUILT, folder), { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !wanted.has(relative(BUILT, path))) await rm(path);
  }
}

async function buildFile(file: string): Promise<void> {
  const source = join(ROOT, file);
  const target = join(BUILT, file).replace(/\.ts$/, ".js");
  const { mtime } = await stat(source);
  if (existsSync(target) && Math.round((await stat(target)).mtimeMs) === mtime.getTime()) return;
  await mkdir(dirname(target), { recursive: true });
  if (file.endsWith(".ts")) await writeFile(target, await translate(source));
  else await cp(source, target);
  await utimes(target, mtime, mtime);
}

async function translate(source: string): Promise<string> {
  const { code } = await transform(await readFile(source, "utf8"), { loader: "ts", format: "esm", target: "node20" });
  return code.replace(SPECIFIER, "$1$2$3.js$2");
}
