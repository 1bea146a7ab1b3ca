// The data directory: made if it is not there, and refused clearly if it cannot be used.
import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { fail } from "../domain/errors.ts";

/** Makes the folder, and those above it. @throws DATA_DIR_UNUSABLE when that cannot be done, or nothing can be written in it */
export function makeDataDir(dataDir: string): void {
  try {
    makeFolder(dataDir);
    accessSync(dataDir, constants.W_OK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw fail("DATA_DIR_UNUSABLE", { dataDir, reason }, { cause: error });
  }
}

/** Level by level: asked to do it in one go, Node.js tries for ever where a folder refuses a new one as not existing (/proc). */
function makeFolder(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) return;
  if (found !== undefined) throw new Error(`${path} is not a folder`);
  makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process was faster.
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
