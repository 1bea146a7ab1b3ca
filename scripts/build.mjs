// Builds src/ into dist/: JavaScript and type declarations, made aside and swapped in whole.
import { chmodSync, existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { binary, node, root } from "./processes.mjs";

/** Gives the exit code. A failed build leaves the old dist/ as it was. */
export async function build() {
  const draft = join(root, `dist.draft-${process.pid}`);
  try {
    const code = await node([binary("typescript", "tsc"), "-p", "tsconfig.build.json", "--outDir", draft]);
    if (code !== 0) return code;
    const command = join(draft, "cli", "main.js");
    if (existsSync(command)) chmodSync(command, 0o755);
    rmSync(join(root, "dist"), { recursive: true, force: true });
    renameSync(draft, join(root, "dist"));
    return 0;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}
