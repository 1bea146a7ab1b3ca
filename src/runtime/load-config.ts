// Finds longhaul.config.ts from a folder upwards and loads it, with TypeScript on every version of Node.
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fail } from "../domain/errors.ts";
import type { Config } from "./config.ts";
import { checkConfigShape } from "./config-shape.ts";
import { type Modules, userModules } from "./user-modules.ts";

export const CONFIG_NAMES = ["ts", "mts", "js", "mjs"].map((extension) => `longhaul.config.${extension}`);

export interface LoadedConfig {
  readonly config: Config;
  /** Absolute path of the file, or null where there is none: then `config` is empty. */
  readonly file: string | null;
  /** The folder that relative paths in the file mean: the file's own, or `cwd`. */
  readonly root: string;
}

export interface LoadConfigOptions {
  /** Where the search begins; it goes on upwards to the root of the file system. */
  readonly cwd: string;
  /** A file named by the user: no search, and it must exist. */
  readonly file?: string | undefined;
  /** Modules that the user's files get instead of a copy of their own. */
  readonly modules?: Modules | undefined;
  /** Run files anew that this process has run before. Default false. */
  readonly fresh?: boolean | undefined;
}

/**
 * Loads the project's config. Without a file that is an empty one.
 *
 * @throws CONFIG_NOT_FOUND when `file` does not exist; CONFIG_INVALID when the file cannot be run or has a wrong shape.
 */
export async function loadConfig({ cwd, file, modules, fresh }: LoadConfigOptions): Promise<LoadedConfig> {
  const found = file === undefined ? findConfig(cwd) : named(cwd, file);
  if (found === null) return { config: {}, file: null, root: resolve(cwd) };
  const exported = await userModules(modules, fresh).load(found);
  return { config: checkConfigShape(exported.default, found), file: found, root: dirname(found) };
}

/** The nearest config file in this folder or one above, or null. */
export function findConfig(cwd: string): string | null {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    const file = CONFIG_NAMES.map((name) => join(folder, name)).find((path) => existsSync(path));
    if (file !== undefined) return file;
    if (dirname(folder) === folder) return null;
  }
}

function named(cwd: string, file: string): string {
  const path = resolve(cwd, file);
  if (existsSync(path)) return path;
  throw fail("CONFIG_NOT_FOUND", {
    what: `There is no config file ${path}`,
    fix: "Name a file that exists, or leave --config away.",
  });
}
