// A key as a process remembers it, and for how long that memory counts.
import { createHash, timingSafeEqual } from "node:crypto";
import type { Scope } from "../domain/scopes.ts";
import type { HeldKeyRow } from "../store/keys.ts";
import type { KeyHolder } from "./keys-api.ts";

/** What was read counts for this long from the moment it was asked for. */
const LIFE_MS = 1_000;
/** From this age on it is read again beside the request that noticed, so that nobody waits for it. */
export const RENEW_MS = 900;

/** All times are those of this process's monotonic clock. */
export interface KnownKey {
  readonly holder: KeyHolder;
  readonly hash: Buffer;
  readonly revoked: boolean;
  readonly readAt: number;
  readonly endsAt: number;
  usedAt: number;
  touchedAt: number;
}

/** `before`: what was known of it until now. */
export function knownKey(row: HeldKeyRow, readAt: number, before: KnownKey | undefined): KnownKey {
  const { key_id: keyId, tenant_id: tenant, secret_hash: hash, name, revoked, left_ms: leftMs } = row;
  const by = name === null ? `key ${keyId}` : `${name} (${keyId})`;
  return {
    holder: { keyId, tenant, scopes: row.scopes as Scope[], by },
    hash,
    revoked,
    readAt,
    endsAt: leftMs === null ? Number.POSITIVE_INFINITY : readAt + leftMs,
    usedAt: before?.usedAt ?? readAt,
    touchedAt: before?.touchedAt ?? Number.NEGATIVE_INFINITY,
  };
}

/** Read within the last second; or, where reading takes longer than that, after the request had come. */
export function isCurrent(readAt: number, arrivedAt: number): boolean {
  return readAt >= arrivedAt || performance.now() - readAt < LIFE_MS;
}

export function hasExpired(key: KnownKey): boolean {
  return performance.now() >= key.endsAt;
}

export function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** Takes the same time however much of the secret is right. */
export function fits(secret: string, key: KnownKey): boolean {
  return timingSafeEqual(hashSecret(secret), key.hash);
}
