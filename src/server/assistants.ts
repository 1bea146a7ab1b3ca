// The agents of this process under the names and the ids by which LangGraph's clients ask for them.
import { v5 as uuidv5 } from "uuid";
import { fail } from "../domain/errors.ts";
import { nearest } from "../domain/nearest.ts";
import type { Longhaul } from "../runtime/api.ts";

/** LangGraph derives the id of a graph's default assistant from its name in this namespace. */
const NAMESPACE = "6ba7b821-9dad-11d1-80b4-00c04fd430c8";
const NAMES_SHOWN_MAX = 20;

export function assistantIdOf(agent: string): string {
  return uuidv5(agent, NAMESPACE);
}

export interface KnownAgent {
  readonly name: string;
  readonly description: string | null;
}

export class AssistantDirectory {
  /** When this process began to offer them: they have no other date. */
  readonly startedAt = new Date().toISOString();
  readonly #longhaul: Pick<Longhaul, "agents">;
  #indexed: readonly KnownAgent[] = [];
  #byId = new Map<string, KnownAgent>();

  constructor(longhaul: Pick<Longhaul, "agents">) {
    this.#longhaul = longhaul;
  }

  /** Those of this moment: `longhaul dev` exchanges them when their files change. */
  get agents(): readonly KnownAgent[] {
    return this.#longhaul.agents;
  }

  /** @throws AGENT_UNKNOWN, with the name that was probably meant */
  find(idOrName: string): KnownAgent {
    const byId = this.#index();
    const found = byId.get(idOrName) ?? byId.get(idOrName.toLowerCase());
    if (found !== undefined) return found;
    const names = this.agents.map(({ name }) => name);
    const meant = nearest(idOrName.slice(0, 200), names);
    const shown = names.length === 0 ? "none" : names.slice(0, NAMES_SHOWN_MAX).join(", ");
    const known = meant === undefined ? shown : `${shown} (did you mean ${meant}?)`;
    throw fail("AGENT_UNKNOWN", { agent: idOrName.slice(0, 200), known }, { details: { didYouMean: meant ?? null } });
  }

  #index(): ReadonlyMap<string, KnownAgent> {
    const { agents } = this;
    if (agents === this.#indexed) return this.#byId;
    this.#byId = new Map(
      agents.flatMap((agent) => [
        [agent.name, agent],
        [assistantIdOf(agent.name), agent],
      ]),
    );
    this.#indexed = agents;
    return this.#byId;
  }
}
