// A project of its own for a test: a temporary folder with the files given, that can import what Longhaul depends on.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface TestProject {
  readonly root: string;
  /** Writes a file, and its folders. */
  write(file: string, text: string): string;
  remove(): void;
}

export function testProject(files: Readonly<Record<string, string>> = {}): TestProject {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "longhaul-project-")));
  const write = (file: string, text: string): string => {
    const path = join(root, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  };
  write("package.json", '{ "type": "module" }');
  symlinkSync(fileURLToPath(new URL("../../node_modules", import.meta.url)), join(root, "node_modules"));
  for (const [file, text] of Object.entries(files)) write(file, text);
  return { root, write, remove: () => rmSync(root, { recursive: true, force: true }) };
}
