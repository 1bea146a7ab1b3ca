// The verbs on API keys, and what they take and give.
import type { DurationInput } from "../domain/duration.ts";
import type { Scope } from "../domain/scopes.ts";

export interface CreateKey {
  /** Whose runs the key reaches. */
  readonly tenant: string;
  /** Puts the tenant on this plan. Default: its plan stays as it is. */
  readonly plan?: string;
  /** What it is for; recorded as the author of answers that are given with it. */
  readonly name?: string;
  /** Scopes, or the words `read` and `write` for the usual sets of them. Default `write`: everything of the tenant, and no `admin`. */
  readonly scopes?: readonly string[];
  /** After this long, or at this moment, also as text: `"90 days"`, `"2030-01-31"`. Default: never. */
  readonly expires?: DurationInput | Date;
  /** Who makes it, for the record. */
  readonly by?: string;
}

export interface RotateKey {
  /** How long the old key goes on working. Default 1 hour. */
  readonly grace?: DurationInput;
  readonly by?: string;
}

export interface ListKeys {
  /** Default: those of all tenants. */
  readonly tenant?: string;
  /** Newest first. Default 50, at most 200. */
  readonly limit?: number;
  readonly offset?: number;
}

/** All of a key but its secret. */
export interface KeyView {
  readonly keyId: string;
  /** How its token begins. */
  readonly prefix: string;
  readonly tenant: string;
  readonly name: string | null;
  readonly scopes: readonly Scope[];
  readonly state: "active" | "expired" | "revoked";
  readonly createdAt: string;
  readonly createdBy: string;
  readonly expiresAt: string | null;
  readonly revokedAt: string | null;
  readonly revokedBy: string | null;
  /** The key that took its place when it was rotated. */
  readonly replacedBy: string | null;
  /** To the minute. */
  readonly lastUsedAt: string | null;
}

export interface NewKey extends KeyView {
  /** The key itself. It is shown this once: only its hash is kept. */
  readonly token: string;
}

/** On whose behalf a request comes that showed a key. */
export interface KeyHolder {
  readonly keyId: string;
  readonly tenant: string;
  readonly scopes: readonly Scope[];
  readonly by: string;
}

/** The API keys of an installation. Keys are named by their id, or by any longer beginning of their token. */
export interface Keys {
  /** @throws KEY_INVALID, SCOPE_UNKNOWN, EXPIRY_INVALID, DURATION_INVALID, PLAN_UNKNOWN */
  create(options: CreateKey): Promise<NewKey>;
  list(filter?: ListKeys): Promise<KeyView[]>;
  /** A new key with the same rights and length of life; the old one expires. @throws API_KEY_NOT_FOUND, API_KEY_ENDED */
  rotate(key: string, options?: RotateKey): Promise<NewKey>;
  /** Within a second it opens nothing any more, on no process. Twice is no error. @throws API_KEY_NOT_FOUND */
  revoke(key: string, options?: { readonly by?: string }): Promise<KeyView>;
  /** True from the first key on that this installation has had: a server then asks for one. */
  required(): Promise<boolean>;
  /** Who shows this token. @throws API_KEY_UNKNOWN, API_KEY_REVOKED, API_KEY_EXPIRED (401) */
  holder(token: string): Promise<KeyHolder>;
  /** Calls back within a second when the key is revoked or expires. Gives what stops that. */
  watch(keyId: string, ended: () => void): () => void;
}
