// Builds src/ into dist/: JavaScript and type declarations, made aside and swapped in whole.
import { chmodSync, cpSync, existsSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { binary, node, root } from "./processes.mjs";

/** Gives the exit code. A failed build leaves the old dist/ as it was. */
export async function build() {
  const draft = join(root, `dist.draft-${process.pid}`);
  try {
    const code = await node([binary("typescript", "tsc"), "-p", "tsconfig.build.json", "--outDir", draft]);
    if (code !== 0) return code;
    copyOtherFiles(draft);
    const command = join(draft, "cli", "main.js");
    if (existsSync(command)) chmodSync(command, 0o755);
    rmSync(join(root, "dist"), { recursive: true, force: true });
    renameSync(draft, join(root, "dist"));
    return 0;
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** What the compiler leaves alone and the program needs: plain modules, pages, styles. */
function copyOtherFiles(draft) {
  cpSync(join(root, "src"), draft, {
    recursive: true,
    filter: (path) => statSync(path).isDirectory() || !path.endsWith(".ts"),
  });
}
