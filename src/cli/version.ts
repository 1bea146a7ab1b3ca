// Which Longhaul this is, and on what it runs.
import { readFileSync } from "node:fs";

export interface Version {
  readonly longhaul: string;
  readonly node: string;
  readonly platform: string;
}

export function version(): Version {
  return { longhaul: programVersion(), node: process.versions.node, platform: `${process.platform}-${process.arch}` };
}

/** The version in package.json, which lies two folders up from the sources as from what is built of them. */
export function programVersion(): string {
  const file = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
