// Installs the dependencies when node_modules is missing or differs from package-lock.json.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { npm, root } from "./processes.mjs";

/** True when the dependencies are there, installing them first where they are not. */
export async function ensureDependencies() {
  const reason = whyInstall();
  if (reason === undefined) return true;
  console.log(`\n── Installing dependencies (${reason}); this takes about half a minute ──`);
  if ((await npm(["ci", "--no-audit", "--no-fund", "--loglevel=error"])) === 0) return true;
  // `npm ci` deletes node_modules first, which fails where files are in use, and it insists on the lock file to the letter.
  console.log("\nnpm ci failed; trying npm install");
  if ((await npm(["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"])) === 0) return true;
  const left = whyInstall();
  if (left === undefined) return true;
  console.error(`\nThe dependencies could not be installed (${left}). Check the network, then run: npm ci`);
  return false;
}

/** Why an installation is needed, or undefined. Contents are compared: a checkout changes times but not versions. */
function whyInstall() {
  const wanted = packagesOf("package-lock.json");
  const present = packagesOf("node_modules/.package-lock.json");
  if (wanted === undefined) return undefined;
  if (present === undefined) return "there are none yet";
  for (const [path, { version, optional, devOptional, link }] of Object.entries(wanted)) {
    if (path === "" || link) continue;
    const found = present[path];
    // Optional packages of other platforms are never installed.
    if (found === undefined && (optional || devOptional)) continue;
    if (found?.version !== version) return `${path.replace(/^.*node_modules\//, "")} should be ${version}`;
  }
  return undefined;
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), "utf8")).packages;
  } catch {
    return undefined;
  }
}
