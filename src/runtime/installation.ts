// What the verbs of one process share: the database, the doorbell, the agents, and the worker if there is one.
import type { AnyAgent } from "../agents/ctx.ts";
import { fail } from "../domain/errors.ts";
import { nearest } from "../domain/nearest.ts";
import { decodeValue } from "../domain/value.ts";
import type { Doorbell } from "../engine/doorbell.ts";
import type { Followers } from "../engine/stream.ts";
import type { DatabaseClock } from "../engine/timing.ts";
import type { LiveTokens } from "../engine/tokens.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { Batcher } from "../store/batch.ts";
import { getBlob } from "../store/blobs.ts";
import type { Database } from "../store/database.ts";
import { asUnavailable } from "../store/driver-errors.ts";
import type { NewRun, Submitted } from "../store/submit.ts";
import type { Admission } from "./admission.ts";
import type { Reads } from "./reads.ts";

export interface Installation {
  readonly db: Database;
  readonly build: string;
  readonly agents: ReadonlyMap<string, AnyAgent>;
  readonly doorbell: Doorbell;
  readonly followers: Followers;
  readonly tokens: LiveTokens;
  readonly gateway: Gateway;
  readonly submits: Batcher<NewRun, Submitted>;
  readonly reads: Reads;
  /** Asked before a submit is looked at. */
  readonly admission: Admission;
  readonly clock: DatabaseClock;
  /** @throws AGENT_UNKNOWN */
  agent(name: string): AnyAgent;
}

/** Finds an agent by name. @throws AGENT_UNKNOWN */
export function findAgent(agents: ReadonlyMap<string, AnyAgent>, name: string): AnyAgent {
  const agent = agents.get(name);
  if (agent !== undefined) return agent;
  const names = [...agents.keys()];
  const close = nearest(name, names);
  const known = names.length === 0 ? "none" : names.join(", ");
  throw fail("AGENT_UNKNOWN", { agent: name.slice(0, 200), known }, { details: { didYouMean: close ?? null } });
}

/** A stored value, inline or apart. */
export async function loadValue(
  db: Database,
  tenant: string,
  text: string | null,
  blob: string | null,
): Promise<unknown> {
  if (blob !== null) {
    const stored = await getBlob(db, tenant, blob);
    return stored === null ? undefined : decodeValue(stored);
  }
  return text === null ? undefined : decodeValue(text);
}

/** Runs a verb; a database that cannot be reached becomes DATABASE_UNAVAILABLE. */
export async function answering<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asUnavailable(error);
  }
}
