// The hooks behind `typescript.mjs`, in the thread in which Node resolves modules.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { transform } from "esbuild";

export async function load(url, context, nextLoad) {
  if (!url.startsWith("file:") || !new URL(url).pathname.endsWith(".ts")) return nextLoad(url, context);
  const path = fileURLToPath(url);
  const options = { loader: "ts", format: "esm", target: "node20", sourcefile: path, sourcemap: "inline" };
  const { code } = await transform(await readFile(path, "utf8"), options);
  return { format: "module", shortCircuit: true, source: code };
}
