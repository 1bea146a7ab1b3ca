// Imports the user's own files, TypeScript or not, in a way that sees their changes and shares our modules with them.
import { sep } from "node:path";
import { createJiti } from "jiti";
import { fail } from "../domain/errors.ts";

/** Modules by the name under which they are imported. */
export type Modules = Readonly<Record<string, unknown>>;

export interface UserModules {
  /** The exports of a file. @throws CONFIG_INVALID when it cannot be read, compiled or run. */
  load(file: string): Promise<Readonly<Record<string, unknown>>>;
}

/**
 * A loader of user files: each file runs once in a process, however many import it. With `fresh`, files that ran before
 * run anew, so that their changes count. Packages are imported natively and shared; `modules` are the very objects given.
 */
export function userModules(modules: Modules = {}, fresh = false): UserModules {
  const jiti = createJiti(import.meta.url, { interopDefault: false, virtualModules: { ...modules } });
  if (fresh) forgetUserFiles(jiti);
  return { load: (file) => load(jiti, file) };
}

function forgetUserFiles(jiti: ReturnType<typeof createJiti>): void {
  for (const file of Object.keys(jiti.cache)) {
    if (!file.includes(`${sep}node_modules${sep}`)) Reflect.deleteProperty(jiti.cache, file);
  }
}

async function load(jiti: ReturnType<typeof createJiti>, file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return await jiti.import<Readonly<Record<string, unknown>>>(file);
  } catch (cause) {
    const said = (cause instanceof Error ? cause.message : String(cause)).trim().replace(/\s*\n\s*/g, " ");
    throw fail(
      "CONFIG_INVALID",
      {
        place: file,
        problem: `it cannot be loaded: ${said}`,
        fix: "Correct the file, or what it imports.",
      },
      { cause },
    );
  }
}
