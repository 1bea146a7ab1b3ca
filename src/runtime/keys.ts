// The verbs on API keys: made, listed, rotated, revoked. The secret is shown once, to whoever makes the key.
import { randomBytes } from "node:crypto";
import { KEY_ID_BYTES, keyIdOf, makeApiKey, SECRET_BYTES } from "../domain/api-key.ts";
import { durationMs } from "../domain/duration.ts";
import { fail } from "../domain/errors.ts";
import { checkKey } from "../domain/key.ts";
import { PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX } from "../domain/limits.ts";
import { type Scope, scopesOf, TENANT_SCOPES } from "../domain/scopes.ts";
import type { DatabaseClock } from "../engine/timing.ts";
import type { Database, Queryable } from "../store/database.ts";
import { insertKey, type KeyRow, listKeys, type NewKeyRow, readKey, replaceKey, revokeKey } from "../store/keys.ts";
import { untilAnswered } from "../store/patience.ts";
import { setTenantPlan } from "../store/plans.ts";
import { answering, type Installation } from "./installation.ts";
import { KeyGate } from "./key-gate.ts";
import { lifeMs } from "./key-life.ts";
import { KeyRing } from "./key-ring.ts";
import { KeyWatch } from "./key-watch.ts";
import type { CreateKey, KeyHolder, Keys, KeyView, ListKeys, NewKey, RotateKey } from "./keys-api.ts";
import { hashSecret } from "./known-key.ts";

const PATIENCE_MS = 2_000;
/** Long enough to bring the new key to those who use the old one. */
const GRACE = "1 hour";
/** Who made or revoked a key, when nobody says who. */
const PROGRAM = "program";

export class KeyVerbs implements Keys {
  readonly #db: Database;
  readonly #clock: DatabaseClock;
  readonly #gate: KeyGate;
  readonly #ring: KeyRing;
  readonly #watch: KeyWatch;

  constructor({ db, clock }: Pick<Installation, "db" | "clock">) {
    this.#db = db;
    this.#clock = clock;
    this.#gate = new KeyGate(db);
    this.#ring = new KeyRing(db);
    this.#watch = new KeyWatch(this.#ring);
  }

  async create(options: CreateKey): Promise<NewKey> {
    const { token, ...secret } = freshKey();
    const key: NewKeyRow = {
      ...secret,
      tenant: checkKey("tenant", options.tenant),
      name: options.name === undefined ? null : checkKey("key name", options.name),
      scopes: scopesOf(options.scopes ?? TENANT_SCOPES),
      createdBy: checkKey("author", options.by ?? PROGRAM),
      lifeMs: options.expires === undefined ? null : lifeMs(options.expires, this.#clock.now()),
    };
    const plan = options.plan === undefined ? null : checkKey("plan", options.plan);
    const store = (tx: Queryable) => (plan === null ? insertKey(tx, key) : this.#storeWithPlan(tx, key, plan));
    await this.#once(() => this.#db.transaction(store));
    return { ...(await this.#view(key.keyId)), token };
  }

  async list(filter: ListKeys = {}): Promise<KeyView[]> {
    const tenant = filter.tenant === undefined ? null : checkKey("tenant", filter.tenant);
    const limit = Math.min(Math.max(1, filter.limit ?? PAGE_SIZE_DEFAULT), PAGE_SIZE_MAX);
    const offset = Math.max(0, filter.offset ?? 0);
    return (await answering(() => listKeys(this.#db, { tenant, limit, offset }))).map(keyView);
  }

  async rotate(key: string, options: RotateKey = {}): Promise<NewKey> {
    const old = existingId(key);
    const graceMs = durationMs(options.grace ?? GRACE);
    const { token, ...secret } = freshKey();
    const successor = { ...secret, createdBy: checkKey("author", options.by ?? PROGRAM) };
    await this.#once(() => replaceKey(this.#db, old, successor, graceMs));
    const after = await this.#view(old);
    if (after.replacedBy !== successor.keyId) throw fail("API_KEY_ENDED", { key: old, reason: whyNot(after) });
    return { ...(await this.#view(successor.keyId)), token };
  }

  async revoke(key: string, { by = PROGRAM }: { readonly by?: string } = {}): Promise<KeyView> {
    const keyId = existingId(key);
    const author = checkKey("author", by);
    await this.#once(() => revokeKey(this.#db, keyId, author));
    return this.#view(keyId);
  }

  required(): Promise<boolean> {
    return this.#gate.isClosed();
  }

  holder(token: string): Promise<KeyHolder> {
    return this.#ring.holder(token);
  }

  watch(keyId: string, ended: () => void): () => void {
    return this.#watch.add(keyId, ended);
  }

  close(): void {
    this.#watch.close();
  }

  async #storeWithPlan(tx: Queryable, key: NewKeyRow, plan: string): Promise<void> {
    if (!(await setTenantPlan(tx, key.tenant, plan)))
      throw fail("PLAN_UNKNOWN", { plan: JSON.stringify(plan.slice(0, 100)) });
    await insertKey(tx, key);
  }

  async #view(keyId: string): Promise<KeyView> {
    const row = await answering(() => readKey(this.#db, keyId));
    if (row === null) throw fail("API_KEY_NOT_FOUND", { key: keyId });
    return keyView(row);
  }

  /** All of these are safe to repeat. */
  #once(change: () => Promise<unknown>): Promise<unknown> {
    return answering(() => untilAnswered(change, PATIENCE_MS));
  }
}

function freshKey() {
  const { keyId, secret, token } = makeApiKey(randomBytes(KEY_ID_BYTES), randomBytes(SECRET_BYTES));
  return { keyId, secretHash: hashSecret(secret), token };
}

/** What was given may be a secret that somebody took for an id: only its beginning is repeated. @throws API_KEY_NOT_FOUND */
function existingId(key: string): string {
  const keyId = keyIdOf(key);
  if (keyId === null) throw fail("API_KEY_NOT_FOUND", { key: JSON.stringify(String(key).slice(0, 14)) });
  return keyId;
}

function whyNot(key: KeyView): string {
  if (key.state !== "active") return key.state === "revoked" ? "it was revoked" : "it has expired";
  return `it was replaced by ${key.replacedBy}`;
}

function keyView(row: KeyRow): KeyView {
  return {
    keyId: row.key_id,
    prefix: `lh_${row.key_id}`,
    tenant: row.tenant_id,
    name: row.name,
    scopes: row.scopes as Scope[],
    state: row.state,
    createdAt: row.created_at.toISOString(),
    createdBy: row.created_by,
    expiresAt: iso(row.expires_at),
    revokedAt: iso(row.revoked_at),
    revokedBy: row.revoked_by,
    replacedBy: row.replaced_by,
    lastUsedAt: iso(row.last_used_at),
  };
}

const iso = (date: Date | null): string | null => date?.toISOString() ?? null;
