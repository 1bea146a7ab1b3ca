// Following journals: one query for all the followers of a process, woken by hints, and none while nobody follows.
import type { Entry } from "../domain/entry.ts";
import { KIND } from "../domain/entry.ts";
import { TOKENS_EVERY_MS } from "../domain/limits.ts";
import type { Database } from "../store/database.ts";
import { isConnectionLost } from "../store/driver-errors.ts";
import { readFinished } from "../store/finish.ts";
import { type NewsRow, readNewsAfter, readTailsAfter } from "../store/stream.ts";
import type { Doorbell } from "./doorbell.ts";
import { type TokenDelta, TokenReader } from "./token-reader.ts";
import type { LiveTokens } from "./tokens.ts";

type News = Entry | TokenDelta;

interface Follower {
  readonly runId: string;
  cursor: number;
  /** Null for one that wants entries alone. */
  readonly tokens: TokenReader | null;
  /** Until then no look at the journal is due: it may have tokens of this process, but entries must not wait while tokens flow. */
  lookMs: number;
  /** Set while it waits: a follower that is busy with what it has is not read for, so that it cannot pile up memory. */
  take: ((news: News[]) => void) | null;
}

const POLL_MS = 100;
/** Entries read at once for one follower; at most 64 KiB of value each. */
const PAGE = 100;
/** Blocks of messages read at once for one follower; half as large. */
const BLOCKS_PAGE = 50;
/** So long after the last block more are expected. */
const TALKING_MS = 2_000;

export class Followers {
  readonly #db: Database;
  readonly #onError: (error: unknown) => void;
  readonly #tokens: LiveTokens;
  readonly #followers = new Set<Follower>();
  /** Those who want tokens, by run. */
  readonly #listeners = new Map<string, Set<Follower>>();
  readonly #ends = new Map<string, Set<() => void>>();
  readonly #unsubscribe: (() => void)[];
  #timer: NodeJS.Timeout | undefined;
  #reading = false;
  #again = false;
  #closed = false;
  /** Until then blocks are looked for as often as they are written. */
  #talkingMs = Number.NEGATIVE_INFINITY;

  constructor(db: Database, doorbell: Doorbell, tokens: LiveTokens, onError: (error: unknown) => void) {
    this.#db = db;
    this.#tokens = tokens;
    this.#onError = onError;
    tokens.listen((runIds) => this.#hear(runIds));
    this.#unsubscribe = [
      // A step says nothing to those who wait for the end: no query for it.
      doorbell.on("journal", (runIds) => this.#followers.size > 0 && this.#lookFor(runIds)),
      doorbell.on("tokens", (runIds) => this.#lookForWords(runIds)),
      doorbell.on("finished", () => this.#poke()),
      doorbell.on("ready", () => this.#poke()),
    ];
  }

  /** Every entry after `after`, once and in order, ending with the run. */
  follow(runId: string, after: number, signal?: AbortSignal): AsyncGenerator<Entry> {
    return this.#follow({ runId, cursor: after, tokens: null, lookMs: 0, take: null }, signal) as AsyncGenerator<Entry>;
  }

  /** The same, and between them what the run's steps are writing: best effort. */
  followWithTokens(runId: string, after: number, signal?: AbortSignal): AsyncGenerator<News> {
    const tokens = new TokenReader(this.#tokens, runId);
    return this.#follow({ runId, cursor: after, tokens, lookMs: 0, take: null }, signal);
  }

  /** Resolves when the run has ended, or the signal fires. */
  ended(runId: string, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#ends.get(runId) ?? new Set();
      const done = (): void => {
        waiting.delete(done);
        if (waiting.size === 0) this.#ends.delete(runId);
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#ends.set(runId, waiting.add(done));
      signal.addEventListener("abort", done);
      if (signal.aborted || this.#closed) done();
      this.#poke();
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    for (const follower of this.#followers) follower.take?.([]);
    for (const waiting of [...this.#ends.values()]) for (const done of [...waiting]) done();
  }

  async *#follow(follower: Follower, signal?: AbortSignal): AsyncGenerator<News> {
    this.#add(follower);
    try {
      while (signal?.aborted !== true && !this.#closed) {
        for (const news of await this.#next(follower, signal)) {
          yield news;
          if (news.kind === KIND.finished) return;
        }
      }
    } finally {
      this.#remove(follower);
    }
  }

  #add(follower: Follower): void {
    this.#followers.add(follower);
    if (follower.tokens === null) return;
    const listeners = this.#listeners.get(follower.runId) ?? new Set();
    this.#listeners.set(follower.runId, listeners.add(follower));
  }

  #remove(follower: Follower): void {
    this.#followers.delete(follower);
    const listeners = this.#listeners.get(follower.runId);
    listeners?.delete(follower);
    if (listeners?.size === 0) this.#listeners.delete(follower.runId);
  }

  #next(follower: Follower, signal?: AbortSignal): Promise<News[]> | News[] {
    const tokens = follower.lookMs > performance.now() ? follower.tokens?.fromHere(follower.cursor) : undefined;
    if (tokens !== undefined && tokens.length > 0) return tokens;
    return new Promise((resolve) => {
      const take = (news: News[]): void => {
        follower.take = null;
        signal?.removeEventListener("abort", stop);
        resolve(news);
      };
      const stop = (): void => take([]);
      follower.take = take;
      signal?.addEventListener("abort", stop);
      if (signal?.aborted === true || this.#closed) stop();
      // One that wants tokens comes back at once and all the time: it is read for when it is its time.
      else if (follower.lookMs <= performance.now()) this.#poke();
    });
  }

  /** Steps of this process have written something. */
  #hear(runIds: readonly string[]): void {
    for (const runId of runIds) for (const follower of this.#listeners.get(runId) ?? []) this.#giveTokens(follower);
  }

  #giveTokens(follower: Follower): void {
    if (follower.take === null || follower.tokens === null) return;
    if (follower.lookMs <= performance.now()) {
      this.#poke();
      return;
    }
    const tokens = follower.tokens.fromHere(follower.cursor);
    if (tokens.length > 0) follower.take(tokens);
  }

  /** Entries of these runs were committed. */
  #lookFor(runIds: readonly string[] | null): void {
    for (const runId of runIds ?? this.#listeners.keys())
      for (const follower of this.#listeners.get(runId) ?? []) follower.lookMs = 0;
    this.#poke();
  }

  /** Somebody begins to speak. Whoever speaks here has been heard already, and what nobody here listens to is no reason to look. */
  #lookForWords(runIds: readonly string[] | null): void {
    let isForUs = false;
    for (const runId of runIds ?? this.#listeners.keys()) {
      if (this.#tokens.speaks(runId)) continue;
      for (const follower of this.#listeners.get(runId) ?? []) {
        follower.lookMs = 0;
        isForUs = true;
      }
    }
    if (isForUs) this.#poke();
  }

  #poke(): void {
    if (this.#closed || (this.#followers.size === 0 && this.#ends.size === 0)) return;
    if (this.#reading) {
      this.#again = true;
      return;
    }
    this.#reading = true;
    clearTimeout(this.#timer);
    void this.#read().finally(() => {
      this.#reading = false;
      if (this.#again) {
        this.#again = false;
        this.#poke();
      } else if (this.#followers.size > 0 || this.#ends.size > 0)
        this.#timer = setTimeout(() => this.#poke(), this.#pollMs());
    });
  }

  #pollMs(): number {
    return this.#listeners.size > 0 && performance.now() < this.#talkingMs ? TOKENS_EVERY_MS : POLL_MS;
  }

  async #read(): Promise<void> {
    try {
      const waiting = [...this.#followers].filter((follower) => follower.take !== null);
      if (waiting.length > 0) {
        const nextMs = performance.now() + TOKENS_EVERY_MS;
        for (const follower of waiting) follower.lookMs = follower.tokens === null ? 0 : nextMs;
        const rows = groupByPlace(await this.#readFor(waiting));
        for (const [index, follower] of waiting.entries()) this.#give(follower, rows.get(index + 1) ?? []);
      }
      if (this.#ends.size > 0) {
        for (const runId of await readFinished(this.#db, [...this.#ends.keys()]))
          for (const done of [...(this.#ends.get(runId) ?? [])]) done();
      }
    } catch (error) {
      // A lost connection is a pause: the followers go on where they were.
      if (!isConnectionLost(error)) this.#onError(error);
    }
  }

  #readFor(waiting: readonly Follower[]): Promise<Row[]> {
    const ids = waiting.map((follower) => follower.runId);
    const cursors = waiting.map((follower) => follower.cursor);
    const tokens = waiting.map((follower) => follower.tokens?.cursor ?? null);
    if (tokens.every((cursor) => cursor === null)) return readTailsAfter(this.#db, ids, cursors, PAGE);
    return readNewsAfter(this.#db, ids, cursors, tokens, PAGE, BLOCKS_PAGE);
  }

  #give(follower: Follower, rows: readonly Row[]): void {
    const entries = rows.filter((row) => !isBlock(row));
    const { tokens, runId } = follower;
    if (tokens !== null) for (const entry of entries) this.#endMessage(tokens, runId, entry);
    if (follower.take === null) return;
    follower.cursor = entries.at(-1)?.seq ?? follower.cursor;
    const news: News[] = [...entries];
    if (tokens !== null) {
      const blocks = rows.filter(isBlock);
      if (blocks.length > 0) this.#talkingMs = performance.now() + TALKING_MS;
      if (entries.length === PAGE || blocks.length === BLOCKS_PAGE) follower.lookMs = 0;
      news.push(...tokens.fromBlocks(blocks, follower.cursor), ...tokens.fromHere(follower.cursor));
    }
    if (news.length > 0) follower.take(news);
  }

  /** What is recorded is not given any more, not even by a step here that does not know it yet. */
  #endMessage(tokens: TokenReader, runId: string, { kind, key, seq }: Entry): void {
    if (key === null || !ENDS_MESSAGE.has(kind)) return;
    this.#tokens.recorded(runId, key, seq);
    if (kind !== KIND.attempt) tokens.recorded(key);
  }
}

type Row = (Entry & { readonly place: number }) | NewsRow;

const ENDS_MESSAGE: ReadonlySet<number> = new Set([KIND.step, KIND.attempt, KIND.message]);

function isBlock(row: Row): row is NewsRow {
  return "take" in row && row.take !== null;
}

function groupByPlace(rows: readonly Row[]): Map<number, Row[]> {
  const groups = new Map<number, Row[]>();
  for (const row of rows) {
    const group = groups.get(row.place);
    if (group === undefined) groups.set(row.place, [row]);
    else group.push(row);
  }
  return groups;
}
