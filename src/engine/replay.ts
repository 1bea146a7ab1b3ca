// What a run remembers: its journal since the last checkpoint, given back to the code in exactly the order in which it was recorded.
import { KIND, type Recorded, SETTLING } from "../domain/entry.ts";
import { decodeValue } from "../domain/value.ts";
import type { Turns } from "./scope.ts";
import { whenCodeStandsStill } from "./timing.ts";

/** So many entries are given in one turn of the event loop: a long journal must not keep the other runs of the process waiting. */
const TURN_EVERY = 250;

/** Of values that are what the code has so far: its own, and the one that a checkpoint keeps. */
const PARTIAL_KEY = /(?:^|\/)(?:partial#\d+|\(partial\))$/;

/** Most of what a run could remember it does not: a run that waits is to be small. */
const NOTHING: ReadonlyMap<string, never> = new Map<string, never>();

/** Called with the recorded entry when its turn has come; replay goes on when the promise settles. */
type Hand = (entry: Recorded) => void | Promise<void>;

export interface Attempts {
  /** Attempts that failed. */
  readonly failed: number;
  /** Not before this moment, on the database's clock. */
  readonly retryAtMs: number;
  /** Why it was put off; null after a failure. */
  readonly reason: string | null;
  /** What a message must be addressed to that ends the pause early; null: only time does. */
  readonly wake: string | null;
}

/** How a wait was opened: journaled, so that a replay opens the same. */
export interface OpenedWait {
  readonly dueMs: number | null;
  readonly approvalId: string | null;
}

export class Replay {
  /** Counts checkpoints; part of every key, so that a key names one step of the whole run. */
  readonly generation: number;
  /** Number of the checkpoint's entry; 0 when there is none. */
  readonly checkpointSeq: number;
  /** Attached children whose ends were not received when the checkpoint was stored: run id and agent. */
  readonly openChildren: readonly (readonly [string, string])[];
  /** Children spawned before the checkpoint. */
  readonly childrenBefore: number;
  #recorded: ReadonlyMap<string, Recorded> = NOTHING;
  readonly #order: Recorded[] = [];
  #attempts: ReadonlyMap<string, Attempts> = NOTHING;
  #values: ReadonlyMap<string, Recorded> = NOTHING;
  readonly #checkpoint: Recorded | undefined;
  /** Values that lie apart and are asked for without waiting, by hash. */
  #loaded: ReadonlyMap<string, unknown> = NOTHING;
  #waits: ReadonlyMap<string, OpenedWait> = NOTHING;
  /** Steps have asked people for more budget. */
  #hasAsks = false;
  #emitted: ReadonlyMap<string, true> = NOTHING;
  /** The last value that the code set as what it has so far. */
  #partial: Recorded | undefined;
  readonly #requested = new Map<string, Hand>();
  readonly #parked: { readonly key: string; readonly go: () => void }[] = [];
  readonly #turns: Turns;
  readonly #onStuck: (problem: string) => void;
  readonly #graceMs: number;
  readonly #giveNext = (): void => this.#give();
  readonly #pumpNext = (): void => this.#pump();
  #head = 0;
  #pumping = false;
  #stuckTimer: NodeJS.Timeout | undefined;

  /**
   * @param entries Since the last checkpoint (that one included), in order.
   * @param graceMs How long the code may do other things before a recorded step that it does not ask for counts as a mismatch.
   */
  constructor(entries: readonly Recorded[], turns: Turns, graceMs: number, onStuck: (problem: string) => void) {
    this.#turns = turns;
    this.#graceMs = graceMs;
    this.#onStuck = onStuck;
    for (const entry of entries) if (entry.kind !== KIND.checkpoint) this.#remember(entry);
    this.#checkpoint = entries.find((entry) => entry.kind === KIND.checkpoint);
    const meta = this.#checkpoint === undefined ? {} : metaOf(this.#checkpoint);
    this.generation = (meta["g"] as number | undefined) ?? 0;
    this.checkpointSeq = this.#checkpoint?.seq ?? 0;
    this.openChildren = (meta["open"] as [string, string][] | undefined) ?? [];
    this.childrenBefore = (meta["spawned"] as number | undefined) ?? 0;
  }

  get hasCheckpoint(): boolean {
    return this.#checkpoint !== undefined;
  }

  get checkpoint(): unknown {
    return this.#checkpoint === undefined ? undefined : this.#valueOf(this.#checkpoint);
  }

  /** Fetches the large ones among the values that the code gets without waiting for them. */
  async load(get: (hash: string) => Promise<unknown>): Promise<void> {
    const entries =
      this.#checkpoint === undefined ? this.#values.values() : [this.#checkpoint, ...this.#values.values()];
    for (const { blob } of entries)
      if (blob !== null && !this.#loaded.has(blob)) this.#loaded = withEntry(this.#loaded, blob, await get(blob));
  }

  get done(): boolean {
    return this.#head >= this.#order.length;
  }

  find(key: string): Recorded | undefined {
    return this.#recorded.get(key);
  }

  attempts(key: string): Attempts | undefined {
    return this.#attempts.get(key);
  }

  value(key: string): { readonly value: unknown } | undefined {
    const entry = this.#values.get(key);
    return entry === undefined ? undefined : { value: this.#valueOf(entry) };
  }

  /** What the code had so far, when it last said so. */
  get partial(): Recorded | undefined {
    return this.#partial;
  }

  get hasAsks(): boolean {
    return this.#hasAsks;
  }

  opened(key: string): OpenedWait | undefined {
    return this.#waits.get(key);
  }

  emitted(key: string): boolean {
    return this.#emitted.has(key);
  }

  /** Gives a recorded entry to its asker when everything recorded before it has been given. */
  request(key: string, hand: Hand): void {
    this.#requested.set(key, hand);
    if (!this.#pumping) this.#pump();
  }

  /** Resolves when everything recorded has been given; undefined when that is so already. New work starts only then. */
  ready(key: string): Promise<void> | undefined {
    if (this.done && this.#parked.length === 0) return undefined;
    return new Promise((go) => {
      this.#parked.push({ key, go });
      this.#watch();
    });
  }

  /** What was recorded and never asked for, when the code has ended. */
  leftover(): string | undefined {
    const entry = this.#order.slice(this.#head).find((e) => !this.#requested.has(e.key ?? ""));
    return entry === undefined
      ? undefined
      : `${describe(entry)} was recorded, but the code ended without asking for it`;
  }

  stop(): void {
    clearTimeout(this.#stuckTimer);
    this.#requested.clear();
    this.#parked.length = 0;
  }

  #valueOf(entry: Recorded): unknown {
    return entry.blob === null ? metaOf(entry)["v"] : this.#loaded.get(entry.blob);
  }

  #remember(entry: Recorded): void {
    const key = entry.key;
    if (key === null) return;
    if (SETTLING.has(entry.kind)) {
      this.#recorded = withEntry(this.#recorded, key, entry);
      this.#order.push(entry);
    } else if (entry.kind === KIND.attempt) {
      const meta = metaOf(entry);
      const reason = meta["p"] === true ? String(meta["v"]) : null;
      const wake = (meta["w"] as string | undefined) ?? null;
      const attempts = { failed: meta["n"] as number, retryAtMs: meta["r"] as number, reason, wake };
      this.#attempts = withEntry(this.#attempts, key, attempts);
    } else if (entry.kind === KIND.value) {
      this.#values = withEntry(this.#values, key, entry);
      if (PARTIAL_KEY.test(key)) this.#partial = entry;
    } else if (entry.kind === KIND.wait) {
      this.#hasAsks ||= key.includes("!budget#");
      const meta = metaOf(entry);
      this.#waits = withEntry(this.#waits, key, {
        dueMs: (meta["due"] as number | undefined) ?? null,
        approvalId: (meta["approval"] as string | undefined) ?? null,
      });
    } else if (entry.kind === KIND.emit) this.#emitted = withEntry(this.#emitted, key, true);
  }

  /** Gives the next entry when the code stands still, if somebody has asked for it. */
  #pump(): void {
    this.#pumping = this.#isAsked(this.#order[this.#head]);
    if (this.#pumping) whenCodeStandsStill(this.#giveNext);
    else if (this.done) for (const parked of this.#parked.splice(0)) parked.go();
    else this.#watch();
  }

  #give(): void {
    const entry = this.#order[this.#head];
    const hand = this.#requested.get(entry?.key ?? "");
    if (entry === undefined || hand === undefined) {
      this.#pump();
      return;
    }
    this.#requested.delete(entry.key ?? "");
    this.#head += 1;
    this.#turns.pass();
    const handed = hand(entry);
    if (handed === undefined) this.#goOn();
    else void handed.then(() => this.#goOn());
  }

  /** What follows from an entry happens before the next is given. With one asker there is nothing to keep apart. */
  #goOn(): void {
    if (this.#head % TURN_EVERY === 0) setImmediate(this.#pumpNext);
    else if (this.#requested.size > 0 || this.#parked.length > 0) whenCodeStandsStill(this.#pumpNext);
    else this.#pump();
  }

  #isAsked(entry: Recorded | undefined): boolean {
    return entry !== undefined && this.#requested.has(entry.key ?? "");
  }

  /** New work is asked for while something recorded is not: give the code time to ask, then call it a mismatch. */
  #watch(): void {
    clearTimeout(this.#stuckTimer);
    if (this.done || this.#parked.length === 0) return;
    const head = this.#head;
    this.#stuckTimer = setTimeout(() => {
      const entry = this.#order[head];
      if (
        this.#head !== head ||
        entry === undefined ||
        this.#requested.has(entry.key ?? "") ||
        this.#parked.length === 0
      )
        return;
      const asked = this.#parked.map((parked) => parked.key).join(", ");
      this.#onStuck(`the journal has ${describe(entry)} next, but the code asks for ${asked}`);
    }, this.#graceMs);
  }
}

function withEntry<V>(map: ReadonlyMap<string, V>, key: string, value: V): ReadonlyMap<string, V> {
  return map === NOTHING ? new Map([[key, value]]) : (map as Map<string, V>).set(key, value);
}

/** The decoded body of an entry: its members, and `v` where the value is inline. */
export function metaOf(entry: Recorded): Record<string, unknown> {
  return entry.body === null ? {} : (decodeValue(entry.body) as Record<string, unknown>);
}

export function describe(entry: Recorded): string {
  return `step ${entry.key} (entry ${entry.seq})`;
}
