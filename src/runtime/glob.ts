// Files by pattern: `**` is any number of folders, `*` and `?` stay inside a name, `{a,b}` is one or the other.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";

/** Files of code that a folder stands for: not type declarations, not tests. */
const CODE_FILE = /\.(ts|mts|tsx|js|mjs)$/;
const NOT_AGENTS = /\.d\.(ts|mts)$|\.(test|spec)\.\w+$/;
const SKIPPED_FOLDERS = new Set(["node_modules", "dist"]);
const MAGIC = /[*?{]/;

/**
 * The files that a pattern names, sorted. A folder stands for all code files in it and below; `node_modules`, `dist` and
 * folders that begin with a dot are never entered unless the pattern names them.
 */
export function filesOf(pattern: string, root: string): string[] {
  const slashed = pattern.replaceAll("\\", "/");
  const fixed = fixedPart(slashed);
  const start = resolve(root, fixed);
  if (!existsSync(start)) return [];
  if (!MAGIC.test(slashed)) {
    return statSync(start).isDirectory() ? walk(start).filter(isAgentFile) : [start];
  }
  const matches = globMatcher(slashed.slice(fixed.length).replace(/^\//, ""));
  return walk(start).filter((file) => matches(relative(start, file).split(sep).join("/")) && isAgentFile(file));
}

function fixedPart(pattern: string): string {
  if (!MAGIC.test(pattern)) return pattern;
  const parts = pattern.split("/");
  const fixed = parts
    .slice(
      0,
      parts.findIndex((part) => MAGIC.test(part)),
    )
    .join("/");
  return fixed === "" && pattern.startsWith("/") ? "/" : fixed;
}

function isAgentFile(file: string): boolean {
  return CODE_FILE.test(file) && !NOT_AGENTS.test(file);
}

function walk(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name);
    // A link to a folder is not a directory here and is not followed: it may lead back up.
    if (entry.isDirectory()) return SKIPPED_FOLDERS.has(entry.name) || entry.name.startsWith(".") ? [] : walk(path);
    return [path];
  });
}

/** A test for paths with `/` between their parts. */
export function globMatcher(pattern: string): (path: string) => boolean {
  let source = "";
  for (let index = 0; index < pattern.length; index++) {
    const character = pattern[index] ?? "";
    if (pattern.startsWith("**/", index)) {
      source += "(?:[^/]+/)*";
      index += 2;
    } else if (pattern.startsWith("**", index)) {
      source += ".*";
      index += 1;
    } else if (character === "*") source += "[^/]*";
    else if (character === "?") source += "[^/]";
    else if (character === "{") source += "(?:";
    else if (character === "}") source += ")";
    else if (character === ",") source += isInBraces(pattern, index) ? "|" : ",";
    else source += character.replace(/[\\^$.|+()[\]]/g, "\\$&");
  }
  const expression = new RegExp(`^${source}$`);
  return (path) => expression.test(path);
}

function isInBraces(pattern: string, index: number): boolean {
  return pattern.lastIndexOf("{", index) > pattern.lastIndexOf("}", index);
}
