// Where runs bring small tasks and take their answers: items wait in the database, and whichever process is there when they are due takes them.
import { AsyncLocalStorage } from "node:async_hooks";
import { v7 as uuidv7 } from "uuid";
import { fail } from "../../domain/errors.ts";
import { toFailure } from "../../domain/failure.ts";
import { nearest } from "../../domain/nearest.ts";
import { encodeValue } from "../../domain/value.ts";
import {
  enterItem,
  type ItemView,
  lookAfterBatches,
  type NewItem,
  parkItem,
  readItems,
  renewBatches,
  takeBatch,
} from "../../store/batches.ts";
import { patient } from "../../store/patience.ts";
import { type FlushParts, flushBatch } from "./flush.ts";
import { ItemFollower } from "./follower.ts";
import { RemoteDesk, type RemoteDeskOptions } from "./remote/desk.ts";
import type { Batching } from "./roles.ts";

export interface DeskOptions extends Omit<FlushParts, "leaseMs" | "asks"> {
  /** How long a call waits for a database that does not answer. Default 10 s. */
  readonly patienceMs?: number;
  readonly serviceOf: RemoteDeskOptions["serviceOf"];
  readonly log: (level: "warn", message: string, fields?: Record<string, unknown>) => void;
  /** How long a batch stays with a process that is not heard of. Default 10 s. */
  readonly leaseMs?: number;
}

const LEASE_MS = 10_000;
/** How often a process looks for what others have left. */
const LOOK_MS = 1_000;
/** A flush a moment after its items are due finds them so. */
const GRACE_MS = 2;
/** How long a closing process waits for requests that are out. */
const CLOSE_MS = 5_000;

export class BatchDesk {
  readonly #parts: FlushParts;
  readonly #log: DeskOptions["log"];
  readonly #follower: ItemFollower;
  readonly #remote: RemoteDesk;
  readonly #batchings = new Map<string, Batching>();
  /** Of this process since the last flush, by batcher and tenant. */
  readonly #entered = new Map<string, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #flushing = new Set<Promise<unknown>>();
  readonly #held = new Set<string>();
  readonly #closing = new AbortController();
  /** What a flush wakes must not think that it is inside the step that entered the item. */
  readonly #outside = AsyncLocalStorage.snapshot();
  #build = "";
  #isLooking = false;
  #look: NodeJS.Timeout | undefined;
  #renew: NodeJS.Timeout | undefined;
  /** Told which runs have been woken. */
  onTold: (runIds: readonly string[]) => void = () => undefined;

  constructor({ log, serviceOf, patienceMs, leaseMs = LEASE_MS, ...parts }: DeskOptions) {
    this.#parts = { ...parts, asks: patient(parts.db, patienceMs), leaseMs };
    this.#log = log;
    this.#follower = new ItemFollower(parts.db);
    this.#remote = new RemoteDesk({ db: parts.db, serviceOf, log });
    this.#remote.onTold = (runIds) => this.onTold(runIds);
  }

  /** What this process can flush; `flushes`: and does, also what others have left. */
  declare(build: string, batchings: readonly Batching[], flushes: boolean): void {
    this.#build = build;
    for (const batching of batchings) this.#batchings.set(batching.name, batching);
    if (!flushes) return;
    this.#look = setInterval(() => {
      if (this.#batchings.size > 0) void this.#lookAfter();
      this.#track(this.#remote.round());
    }, LOOK_MS);
    this.#renew = setInterval(() => void this.#renewHeld(), this.#parts.leaseMs / 3).unref();
  }

  /** @throws BATCHER_UNKNOWN */
  find(name: string): Batching {
    const found = this.#batchings.get(name);
    if (found !== undefined) return found;
    const names = [...this.#batchings.keys()];
    const known = names.length === 0 ? "none" : names.join(", ");
    throw fail(
      "BATCHER_UNKNOWN",
      { batcher: name.slice(0, 200), known },
      { details: { didYouMean: nearest(name, names) ?? null } },
    );
  }

  /** Items of one build are flushed alike: another may say something else under the same name. */
  batcherOf({ name }: Batching): string {
    return `${this.#build}/${name}`;
  }

  /** How an item stands; null when it was never entered. */
  async read(itemId: string): Promise<ItemView | null> {
    const [view] = await readItems(this.#parts.asks, [itemId], false);
    return view ?? null;
  }

  /** An item without a call of its own. Safe to repeat. */
  enter(item: NewItem): Promise<void> {
    return enterItem(this.#parts.asks, item);
  }

  /** An item has been entered: it goes out when there are enough, or when it has waited for long enough. */
  entered(batching: Batching, tenant: string): void {
    this.#outside(() => this.#count(batching, tenant));
  }

  #count(batching: Batching, tenant: string): void {
    const group = JSON.stringify([batching.name, tenant]);
    const count = (this.#entered.get(group) ?? 0) + 1;
    this.#entered.set(group, count);
    if (count >= batching.itemsMax) {
      this.#entered.delete(group);
      this.#begin(batching, tenant);
    }
    if (count !== 1 || this.#closing.signal.aborted) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#entered.delete(group);
      this.#begin(batching, null);
    }, batching.delayMs + GRACE_MS);
    this.#timers.add(timer);
  }

  /** An item of a provider's batch has been entered here. */
  enteredRemote(): void {
    this.#remote.attend();
  }

  /** The item once it is settled; null when that takes longer. @throws the reason of the abort */
  follow(itemId: string, holdMs: number, abort: AbortSignal): Promise<ItemView | null> {
    return this.#follower.follow(itemId, holdMs, abort);
  }

  /** Its run is about to sleep, and is told when it is settled. False: it is settled. */
  park(itemId: string): Promise<boolean> {
    return parkItem(this.#parts.asks, itemId);
  }

  /** Waits a little for requests that are out; what is still out then is another's, once it has lapsed. */
  async close(): Promise<void> {
    clearInterval(this.#look);
    for (const timer of this.#timers) clearTimeout(timer);
    const late = setTimeout(() => this.#closing.abort(new DOMException("The process closes.", "AbortError")), CLOSE_MS);
    await Promise.allSettled(this.#flushing);
    clearTimeout(late);
    this.#closing.abort(new DOMException("The process closes.", "AbortError"));
    clearInterval(this.#renew);
    this.#follower.close();
  }

  #begin(batching: Batching, tenant: string | null): void {
    if (this.#closing.signal.aborted) return;
    const flushing = this.#flush(batching, tenant).catch((error) =>
      this.#log("warn", "a batch could not be flushed", { batcher: batching.name, error }),
    );
    this.#track(flushing);
  }

  #track(work: Promise<unknown>): void {
    this.#flushing.add(work);
    void work.finally(() => this.#flushing.delete(work));
  }

  async #flush(batching: Batching, tenant: string | null): Promise<void> {
    const batchId = uuidv7();
    const { itemsMax, bytesMax } = batching;
    const batcher = this.batcherOf(batching);
    const { db, leaseMs } = this.#parts;
    const taken = await takeBatch(db, { batchId, batcher, tenant, itemsMax, bytesMax, leaseMs });
    if (taken.length === 0) return;
    // There may be more than one batch of them.
    this.#begin(batching, null);
    this.#held.add(batchId);
    this.#renew ??= setInterval(() => void this.#renewHeld(), leaseMs / 3).unref();
    try {
      const told = await flushBatch(this.#parts, batching, batchId, taken, this.#closing.signal);
      this.#follower.look();
      if (told !== null && told.length > 0) this.onTold(told);
      // What is asked again need not wait for the next look.
      if (told !== null) this.#begin(batching, null);
    } finally {
      this.#held.delete(batchId);
    }
  }

  async #lookAfter(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    try {
      const byBatcher = new Map([...this.#batchings.values()].map((one) => [this.batcherOf(one), one]));
      const { due, told } = await lookAfterBatches(this.#parts.db, [...byBatcher.keys()], LOST);
      if (told.length > 0) this.onTold(told);
      for (const batcher of due) {
        const batching = byBatcher.get(batcher);
        if (batching !== undefined) this.#begin(batching, null);
      }
    } catch (error) {
      this.#log("warn", "batches could not be looked after", { error });
    } finally {
      this.#isLooking = false;
    }
  }

  async #renewHeld(): Promise<void> {
    if (this.#held.size === 0) return;
    await renewBatches(this.#parts.db, [...this.#held], this.#parts.leaseMs).catch(() => undefined);
  }
}

/** Of an item that has been in the hands of too many processes that died. */
const LOST = encodeValue(toFailure(fail("BATCH_LOST")));
