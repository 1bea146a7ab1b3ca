// The other runtimes are installed when they are first measured, beside the bench and never with the package.
import { execFileSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";

const PEERS = fileURLToPath(new URL("../peers/", import.meta.url));

/** True when they are there. Needs the npm registry the first time. */
export function installPeers(say: (line: string) => void): boolean {
  if (areInstalled()) return true;
  say("installing the other runtimes (bench/peers)");
  try {
    const cli = process.env["npm_execpath"];
    const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    const options = { cwd: PEERS, stdio: ["ignore", "ignore", "inherit"] as ["ignore", "ignore", "inherit"] };
    if (cli?.endsWith(".js")) execFileSync(process.execPath, [cli, ...args], options);
    else execFileSync("npm", args, { ...options, shell: process.platform === "win32" });
    return true;
  } catch (error) {
    say(`they cannot be installed: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

/** npm leaves a lock file of its own behind; one older than ours was made for other versions. */
function areInstalled(): boolean {
  const done = `${PEERS}node_modules/.package-lock.json`;
  return existsSync(done) && statSync(done).mtimeMs >= statSync(`${PEERS}package-lock.json`).mtimeMs;
}
