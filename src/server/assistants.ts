// Which agents this installation knows, under the names and the ids by which LangGraph's clients ask for them.
import { v5 as uuidv5 } from "uuid";
import { fail } from "../domain/errors.ts";
import type { Longhaul } from "../runtime/api.ts";

/** LangGraph derives the id of a graph's default assistant from its name in this namespace. */
const NAMESPACE = "6ba7b821-9dad-11d1-80b4-00c04fd430c8";
/** Agents that only workers know are asked for at most this often. */
const REFRESH_MS = 2_000;

export function assistantIdOf(agent: string): string {
  return uuidv5(agent, NAMESPACE);
}

export interface KnownAgent {
  readonly name: string;
  readonly description: string | null;
}

/** The agents of this process and those that live workers have announced. */
export class AssistantDirectory {
  readonly #longhaul: Longhaul;
  readonly startedAt = new Date().toISOString();
  #fromWorkers: Promise<readonly string[]> | undefined;
  #askedAt = 0;

  constructor(longhaul: Longhaul) {
    this.#longhaul = longhaul;
  }

  /** All of them, by name. */
  async all(): Promise<KnownAgent[]> {
    const known = new Map<string, KnownAgent>();
    for (const name of await this.#workersAgents()) known.set(name, { name, description: null });
    for (const { name, description } of this.#longhaul.agents) known.set(name, { name, description });
    return [...known.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** @throws AGENT_UNKNOWN, with the name that was probably meant */
  async find(idOrName: string): Promise<KnownAgent> {
    const matches = ({ name }: KnownAgent): boolean =>
      name === idOrName || assistantIdOf(name) === idOrName.toLowerCase();
    const here = this.#longhaul.agents.find(matches);
    if (here !== undefined) return here;
    const all = await this.all();
    const found = all.find(matches);
    if (found !== undefined) return found;
    const names = all.map(({ name }) => name);
    const meant = closest(idOrName, names);
    const known = names.length === 0 ? "none" : names.slice(0, 20).join(", ");
    const hint = meant === null ? known : `${known} (did you mean ${meant}?)`;
    throw fail("AGENT_UNKNOWN", { agent: idOrName, known: hint }, { details: { didYouMean: meant } });
  }

  #workersAgents(): Promise<readonly string[]> {
    const now = performance.now();
    if (this.#fromWorkers === undefined || now - this.#askedAt > REFRESH_MS) {
      this.#askedAt = now;
      this.#fromWorkers = this.#askWorkers();
      this.#fromWorkers.catch(() => {
        this.#fromWorkers = undefined;
      });
    }
    return this.#fromWorkers;
  }

  async #askWorkers(): Promise<readonly string[]> {
    const workers = await this.#longhaul.workers();
    return workers.filter(({ state }) => state === "active" || state === "draining").flatMap(({ agents }) => agents);
  }
}

/** The name that differs by the fewest letters, if it is few enough to be a slip. */
function closest(wanted: string, names: readonly string[]): string | null {
  const ranked = names
    .map((name) => ({ name, distance: editDistance(wanted.toLowerCase().slice(0, 100), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(wanted.length / 3)) ? best.name : null;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, place) => place);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}
