// Sends what waits for providers' batches, and polls what they hold. All that it knows is in the database: any process goes on after any other.
import { v7 as uuidv7 } from "uuid";
import { NO_TOKENS } from "../../../domain/usage.ts";
import { type ItemResult, markSent, settleBatch, takeBatch } from "../../../store/batches.ts";
import type { Database } from "../../../store/database.ts";
import {
  claimRemote,
  dueRemoteBatchers,
  itemsOfBatch,
  openRemote,
  type RemoteBatch,
  releaseOverdue,
  setRemote,
} from "../../../store/remote-batches.ts";
import { type Group, readGroup } from "./group.ts";
import type { RemoteItem } from "./roles.ts";
import type { RemoteService } from "./services.ts";

export interface RemoteDeskOptions {
  readonly db: Database;
  /** Null for a provider that this process cannot reach, or that has no batches. */
  readonly serviceOf: (provider: string) => RemoteService | null;
  readonly log: (level: "warn", message: string, fields?: Record<string, unknown>) => void;
}

/** Longer than a request to a provider takes. */
const LEASE_MS = 90_000;
const ITEMS_MAX = 10_000;
const CLAIMED_MAX = 20;
/** For whoever has entered nothing itself and finds nothing. */
const REST_MS = 10_000;
const POLL_MS_MIN = 1_000;
const POLL_MS_MAX = 5 * 60_000;

export class RemoteDesk {
  readonly #options: RemoteDeskOptions;
  #isAtWork = false;
  /** Where nothing was found lately, it is looked for less often. */
  #restUntilMs = 0;
  /** Told which runs have been woken. */
  onTold: (runIds: readonly string[]) => void = () => undefined;

  constructor(options: RemoteDeskOptions) {
    this.#options = options;
  }

  /** There is something to do from now on. */
  attend(): void {
    this.#restUntilMs = 0;
  }

  /** One round of all that is due. Never rejects. */
  async round(): Promise<void> {
    if (this.#isAtWork || performance.now() < this.#restUntilMs) return;
    this.#isAtWork = true;
    const { db } = this.#options;
    try {
      this.#tell(await releaseOverdue(db, 1_000));
      const open = await openRemote(db);
      if (!open) this.#restUntilMs = performance.now() + REST_MS;
      for (const batcher of await dueRemoteBatchers(db)) await this.#guarded(() => this.#submitDue(batcher));
      for (const batch of await claimRemote(db, LEASE_MS, CLAIMED_MAX)) await this.#guarded(() => this.#goOn(batch));
    } catch (error) {
      this.#options.log("warn", "batches of providers could not be looked after", { error });
    } finally {
      this.#isAtWork = false;
    }
  }

  async #submitDue(batcher: string): Promise<void> {
    const group = readGroup(batcher);
    const service = group === null ? null : this.#options.serviceOf(group.provider);
    if (group === null || service === null) return;
    const batchId = uuidv7();
    const sizes = { tenant: null, itemsMax: ITEMS_MAX, bytesMax: service.batches.bytesMax, leaseMs: LEASE_MS };
    const taken = await takeBatch(this.#options.db, { batchId, batcher, ...sizes });
    if (taken.length === 0) return;
    await this.#submit(
      group,
      batchId,
      taken.map(({ item_id, payload }) => ({ itemId: item_id, body: payload })),
    );
  }

  async #submit(group: Group, batchId: string, items: readonly RemoteItem[]): Promise<void> {
    const service = this.#options.serviceOf(group.provider);
    if (service === null) return;
    // From here on it may be there, also when we never hear of it: whoever finds this row asks before it sends.
    if (!(await markSent(this.#options.db, batchId, LEASE_MS))) return;
    const remoteId = await service.batches.submit(service.address, batchId, group.path, items);
    await setRemote(this.#options.db, batchId, remoteId, POLL_MS_MIN);
  }

  async #goOn({ batch_id, batcher, state, remote_id, polls }: RemoteBatch): Promise<void> {
    const { db, serviceOf } = this.#options;
    const group = readGroup(batcher);
    const service = group === null ? null : serviceOf(group.provider);
    if (group === null || service === null) return;
    const items = await itemsOfBatch(db, batch_id);
    // All of them are overdue, and ask by themselves.
    if (items.length === 0) {
      if (remote_id !== null) await service.batches.cancel(service.address, remote_id).catch(() => undefined);
      await settleBatch(db, batch_id, []);
      return;
    }
    const itemIds = items.map(({ item_id }) => item_id);
    const remoteId =
      remote_id ?? (state === "sent" ? await service.batches.find(service.address, batch_id, itemIds) : null);
    if (remoteId === null) {
      const bodies = items.map(({ item_id, payload }) => ({ itemId: item_id, body: payload }));
      return await this.#submit(group, batch_id, bodies);
    }
    const found = await service.batches.state(service.address, remoteId);
    if (found.is === "open") return await setRemote(db, batch_id, remoteId, pollMs(polls));
    const results = items.map(({ item_id }) => resultOf(item_id, found.results.get(item_id) ?? null));
    this.#tell((await settleBatch(db, batch_id, results)) ?? []);
  }

  #tell(runIds: readonly string[]): void {
    if (runIds.length > 0) this.onTold(runIds);
  }

  async #guarded(work: () => Promise<void>): Promise<void> {
    await work().catch((error) => this.#options.log("warn", "a provider's batch failed; it is tried again", { error }));
  }
}

/** What no batch has answered is asked live. */
function resultOf(itemId: string, answer: string | null): ItemResult {
  const state = answer === null ? "live" : "done";
  return { itemId, state, answer, usage: NO_TOKENS, nanoUsd: 0n, confidence: null };
}

function pollMs(polls: number): number {
  return Math.min(POLL_MS_MIN * 2 ** Math.min(polls, 16), POLL_MS_MAX);
}
