// The agents of a project: those the config holds, and those that the files it names export.
import type { AnyAgent } from "../agents/ctx.ts";
import { fail } from "../domain/errors.ts";
import type { AgentSources } from "./config.ts";
import { filesOf } from "./glob.ts";
import type { UserModules } from "./user-modules.ts";

export interface DiscoveredAgent {
  readonly agent: AnyAgent;
  /** The file that exports it, or the config file that holds it. */
  readonly file: string;
}

export interface DiscoverOptions {
  readonly sources: AgentSources;
  /** What relative patterns are relative to. */
  readonly root: string;
  /** Where the sources were given, for errors: the config file, or `--agents`. */
  readonly place: string;
  readonly modules: UserModules;
}

/**
 * Every agent once, sorted by name.
 *
 * @throws CONFIG_INVALID for a pattern without files, files without agents, two agents of one name, or a file that fails.
 */
export async function discoverAgents(options: DiscoverOptions): Promise<DiscoveredAgent[]> {
  const { sources, place } = options;
  const list = typeof sources === "string" ? [sources] : sources;
  if (!Array.isArray(list))
    throw invalid(place, "it is not a list", "List agents, or files and folders that export them.");
  const found: DiscoveredAgent[] = [];
  for (const source of list as readonly unknown[]) {
    if (typeof source === "string") found.push(...(await agentsIn(source, options)));
    else if (isAgent(source)) found.push({ agent: source, file: place });
    else throw invalid(place, "it holds something that is no agent", "Make agents with agent({ name, run }).");
  }
  return uniqueByName(found, place);
}

/** True for what `agent()` made, also in another copy of the package. */
export function isAgent(value: unknown): value is AnyAgent {
  if (typeof value !== "object" || value === null || !Object.isFrozen(value)) return false;
  const { name, run, queue, limits } = value as Partial<AnyAgent>;
  return (
    typeof name === "string" && typeof run === "function" && typeof queue === "string" && typeof limits === "object"
  );
}

async function agentsIn(pattern: string, { root, place, modules }: DiscoverOptions): Promise<DiscoveredAgent[]> {
  const files = filesOf(pattern, root);
  if (files.length === 0) {
    throw invalid(place, `${pattern} matches no file in ${root}`, "Correct the path; it is relative to that folder.");
  }
  const found: DiscoveredAgent[] = [];
  for (const file of files) {
    const exported = await modules.load(file);
    for (const value of Object.values(exported)) if (isAgent(value)) found.push({ agent: value, file });
  }
  if (found.length === 0) {
    const fix = "Export what agent() gives: `export const answer = agent({ ... })`.";
    throw invalid(place, `${pattern} matches ${files.length} files, and none exports an agent`, fix);
  }
  return found;
}

function uniqueByName(found: readonly DiscoveredAgent[], place: string): DiscoveredAgent[] {
  const byName = new Map<string, DiscoveredAgent>();
  for (const one of found) {
    const other = byName.get(one.agent.name);
    if (other !== undefined && other.agent !== one.agent) {
      const problem = `two agents have the name ${one.agent.name}: in ${other.file} and in ${one.file}`;
      throw invalid(place, problem, "Give one of them another name.");
    }
    if (other === undefined) byName.set(one.agent.name, one);
  }
  return [...byName.values()].sort((a, b) => (a.agent.name < b.agent.name ? -1 : 1));
}

function invalid(place: string, problem: string, fix: string): Error {
  return fail("CONFIG_INVALID", { place: `agents in ${place}`, problem, fix });
}
