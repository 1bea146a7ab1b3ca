// What a key may do: five scopes, and two short words for the usual sets of them.
import { fail } from "./errors.ts";
import { nearest } from "./nearest.ts";

/** In the order in which they are kept and shown. */
export const SCOPES = ["runs:read", "runs:write", "approvals", "models", "admin"] as const;

/**
 * `runs:read` looks at runs and threads, `runs:write` starts and moves them, `approvals` answers what agents ask people and raises
 * budgets, `models` calls models in OpenAI's words. These four reach one tenant. `admin` is for who runs the installation: workers,
 * queues, keys, and all of `/admin` for every tenant.
 */
export type Scope = (typeof SCOPES)[number];

/** Short words. They are spelled out when a key is made, so that no later version lets an old key do more. */
const BUNDLES = {
  read: ["runs:read"],
  write: ["runs:read", "runs:write", "approvals", "models"],
} as const satisfies Record<string, readonly Scope[]>;

const WORDS = [...SCOPES, ...Object.keys(BUNDLES)];

/** What everybody is allowed who belongs to a tenant, where nothing else is said. */
export const TENANT_SCOPES: readonly Scope[] = BUNDLES.write;

/** Scopes from scopes and bundles, each once. @throws SCOPE_UNKNOWN also for an empty list: a key that opens nothing is a mistake */
export function scopesOf(words: readonly unknown[]): Scope[] {
  const named = new Set(words.flatMap(spelledOut));
  if (named.size === 0) throw fail("SCOPE_UNKNOWN", { scope: "nothing", known: WORDS.join(", "), fix: "" });
  return SCOPES.filter((scope) => named.has(scope));
}

function spelledOut(word: unknown): readonly Scope[] {
  const scope = SCOPES.find((known) => known === word);
  if (scope !== undefined) return [scope];
  if (typeof word === "string" && Object.hasOwn(BUNDLES, word)) return BUNDLES[word as keyof typeof BUNDLES];
  const text = String(word).slice(0, 50);
  const meant = nearest(text, WORDS);
  throw fail("SCOPE_UNKNOWN", {
    scope: JSON.stringify(text),
    known: WORDS.join(", "),
    fix: meant === undefined ? "" : ` Did you mean ${meant}?`,
  });
}
