// Starting programs and waiting for them, with their output passed through.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** The folder of the repository. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a command to its end. Resolves with its exit code; 1 if it cannot be started or is ended by a signal. */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit", ...options });
    // The terminal sends Ctrl-C to the child as well; this process waits for it to finish its own way.
    const ignore = () => undefined;
    const passOn = (signal) => child.kill(signal);
    process.on("SIGINT", ignore);
    process.on("SIGTERM", passOn);
    const settle = (code) => {
      process.off("SIGINT", ignore);
      process.off("SIGTERM", passOn);
      resolve(code);
    };
    child.once("error", (error) => {
      console.error(`${command}: ${error.message}`);
      settle(1);
    });
    child.once("exit", (code) => settle(code ?? 1));
  });
}

/** Runs this Node with the given arguments. */
export function node(args, options) {
  return run(process.execPath, args, options);
}

/** Runs a TypeScript file of the repository, without building. `loader`: what makes JavaScript of it; default: tsx. */
export async function runScript(file, args = [], loader = createRequire(import.meta.url).resolve("tsx")) {
  if (!existsSync(join(root, file))) {
    console.error(`${file} does not exist in this checkout.`);
    return 1;
  }
  return await node(["--import", pathToFileURL(loader).href, file, ...args]);
}

/** The file behind a command of an installed package, to be run by Node without a shell. */
export function binary(packageName, command = packageName) {
  const manifest = join(root, "node_modules", packageName, "package.json");
  const { bin } = createRequire(import.meta.url)(manifest);
  return join(dirname(manifest), typeof bin === "string" ? bin : bin[command]);
}

/** Runs npm: the one that started this process, or else the one on the path. */
export function npm(args, options) {
  const cli = process.env.npm_execpath;
  if (cli?.endsWith(".js")) return node([cli, ...args], options);
  return run("npm", args, { shell: process.platform === "win32", ...options });
}
