// What the steps of this process are writing: kept for readers here, who get it at once, and written down for readers elsewhere, all
// messages of all runs in one statement every 50 ms while there is something new. The beginning of a message goes sooner, and is announced.
import { MESSAGE_CHARS_MAX, MESSAGES_CHARS_MAX, TOKENS_EVERY_MS } from "../domain/limits.ts";
import type { TokenPart } from "../domain/tokens.ts";
import type { Database } from "../store/database.ts";
import { isConnectionLost, isRetryable } from "../store/driver-errors.ts";
import { type DeadMessage, type TokenBlock, writeTokens } from "../store/tokens.ts";
import { MessageLog, type MessageName } from "./message-log.ts";

/** What is recorded is deleted with the next blocks, or alone after this time. */
const CLEAR_MS = 1_000;
const RETRY_MS_MAX = 2_000;
/** The first words of a message wait no longer than this for those of others; but one such statement in TOKENS_EVERY_MS is enough. */
const OPENING_MS = 3;
/** Characters of one statement: more wait for the next. */
const STATEMENT_CHARS_MAX = 4 * 1_048_576;

export class LiveTokens {
  readonly #db: Database;
  readonly #onError: (error: unknown) => void;
  readonly #onOpened: (runId: string) => void;
  readonly #runs = new Map<string, Map<string, MessageLog>>();
  /** Messages with something that was not yet sent. */
  readonly #fresh = new Set<MessageLog>();
  readonly #changed = new Set<string>();
  #dead: DeadMessage[] = [];
  /** What was sent and not answered: it is sent again as it is, before anything else. */
  #unanswered: { readonly blocks: readonly TokenBlock[]; readonly dead: readonly DeadMessage[] } | null = null;
  #onTokens: (runIds: readonly string[]) => void = () => undefined;
  /** Numbers of blocks and takes: they rise for the whole process, so they do for each run of it. */
  #blocks = 0;
  #takes = 0;
  #chars = 0;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = Number.POSITIVE_INFINITY;
  #sentMs = Number.NEGATIVE_INFINITY;
  /** When words were last sent sooner than it was their time. */
  #hurriedMs = Number.NEGATIVE_INFINITY;
  #retryMs = 0;
  #sending: Promise<void> | null = null;
  #closed = false;

  /** @param onOpened Told of a run when readers elsewhere find the beginning of a message of it. */
  constructor(db: Database, onError: (error: unknown) => void, onOpened: (runId: string) => void) {
    this.#db = db;
    this.#onError = onError;
    this.#onOpened = onOpened;
  }

  /** Tells of runs that have something new, once per turn of the event loop. */
  listen(onTokens: (runIds: readonly string[]) => void): void {
    this.#onTokens = onTokens;
  }

  open(name: MessageName): TokenStream {
    const { runId, key } = name;
    const messages = this.#runs.get(runId) ?? new Map<string, MessageLog>();
    this.forget(messages.get(key));
    this.#takes += 1;
    const log = new MessageLog(name, this.#takes);
    this.#runs.set(runId, messages.set(key, log));
    return new TokenStream(this, log);
  }

  /** Messages of a run that are being written here. */
  *messagesOf(runId: string): Generator<MessageLog> {
    for (const log of this.#runs.get(runId)?.values() ?? []) if (!log.over) yield log;
  }

  /** Whether steps of this process are writing messages of the run. */
  speaks(runId: string): boolean {
    return this.#runs.has(runId);
  }

  /** A reader has seen what ends an attempt in the journal, before the worker here has heard that it is stored. */
  recorded(runId: string, key: string, seq: number): void {
    const log = this.#runs.get(runId)?.get(key);
    if (log !== undefined && seq > log.name.afterSeq) log.over = true;
  }

  /** The run is no longer this process's business. */
  forgetRun(runId: string): void {
    for (const log of [...(this.#runs.get(runId)?.values() ?? [])]) this.forget(log);
  }

  /** Sends what is still to be deleted. */
  async close(): Promise<void> {
    for (const runId of [...this.#runs.keys()]) this.forgetRun(runId);
    await this.#sending;
    this.#closed = true;
    clearTimeout(this.#timer);
    if (this.#dead.length > 0) await this.#send().catch(() => undefined);
  }

  // --- for streams ---------------------------------------------------------------------------------------------------

  write(log: MessageLog, part: TokenPart): void {
    if (log.cut || log.over || this.#closed) return;
    const before = log.chars;
    log.add(part);
    this.#chars += log.chars - before;
    if (log.chars > MESSAGE_CHARS_MAX || this.#chars > MESSAGES_CHARS_MAX) log.cut = true;
    if (log.length > log.sent) this.#news(log);
  }

  restart(log: MessageLog): void {
    this.#takes += 1;
    this.#chars -= log.chars;
    log.restart(this.#takes);
    this.#fresh.delete(log);
  }

  /** The message has its record, or will have none. */
  forget(log: MessageLog | undefined): void {
    if (log === undefined) return;
    const { runId, epoch, key } = log.name;
    const messages = this.#runs.get(runId);
    if (messages?.get(key) !== log) return;
    messages.delete(key);
    if (messages.size === 0) this.#runs.delete(runId);
    this.#chars -= log.chars;
    this.#fresh.delete(log);
    log.over = true;
    if (!log.stored) return;
    this.#dead.push({ runId, epoch, key });
    this.#arm(CLEAR_MS);
  }

  // --- inside --------------------------------------------------------------------------------------------------------

  #news(log: MessageLog): void {
    this.#fresh.add(log);
    this.#armFor(log);
    if (this.#changed.size === 0) setImmediate(() => this.#tell());
    this.#changed.add(log.name.runId);
  }

  #armFor({ sent }: MessageLog): void {
    const nowMs = performance.now();
    const waitMs = this.#sentMs + TOKENS_EVERY_MS - nowMs;
    const isHurried = sent === 0 && waitMs > OPENING_MS && nowMs >= this.#hurriedMs + TOKENS_EVERY_MS;
    this.#arm(isHurried ? OPENING_MS : waitMs);
  }

  /** What was written while a statement was under way. */
  #armForAll(): void {
    this.#arm(this.#sentMs + TOKENS_EVERY_MS - performance.now());
    for (const log of this.#fresh) {
      if (log.sent > 0) continue;
      this.#armFor(log);
      return;
    }
  }

  #tell(): void {
    const runIds = [...this.#changed];
    this.#changed.clear();
    this.#onTokens(runIds);
  }

  #arm(waitMs: number): void {
    const dueMs = performance.now() + Math.max(waitMs, this.#retryMs);
    if (this.#sending !== null || this.#closed || dueMs >= this.#dueMs) return;
    this.#dueMs = dueMs;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#flush(), Math.max(0, dueMs - performance.now()));
  }

  #flush(): void {
    this.#dueMs = Number.POSITIVE_INFINITY;
    if (this.#sending !== null || this.#closed) return;
    const nowMs = performance.now();
    if (nowMs < this.#sentMs + TOKENS_EVERY_MS - OPENING_MS) this.#hurriedMs = nowMs;
    this.#sentMs = nowMs;
    this.#sending = this.#send()
      .then(
        () => {
          this.#retryMs = 0;
        },
        (error: unknown) => {
          this.#retryMs = Math.min(Math.max(TOKENS_EVERY_MS, this.#retryMs * 2), RETRY_MS_MAX);
          if (!isConnectionLost(error) && !isRetryable(error)) this.#refused(error);
        },
      )
      .finally(() => {
        this.#sending = null;
        if (this.#fresh.size > 0 || this.#unanswered !== null) this.#armForAll();
        else if (this.#dead.length > 0) this.#arm(CLEAR_MS);
      });
  }

  async #send(): Promise<void> {
    this.#unanswered ??= { blocks: this.#takeBlocks(), dead: this.#dead.splice(0) };
    const { blocks, dead } = this.#unanswered;
    if (blocks.length > 0 || dead.length > 0) await writeTokens(this.#db, blocks, dead);
    this.#unanswered = null;
    for (const { runId, pos } of blocks) if (pos === 0) this.#onOpened(runId);
  }

  /** Readers elsewhere miss these: they wait for the record. */
  #refused(error: unknown): void {
    this.#unanswered = null;
    this.#onError(error);
  }

  #takeBlocks(): TokenBlock[] {
    const blocks: TokenBlock[] = [];
    let chars = 0;
    for (const log of this.#fresh) {
      if (chars > STATEMENT_CHARS_MAX) break;
      for (const { pos, body } of log.blocksFrom(log.sent)) {
        this.#blocks += 1;
        blocks.push({ n: this.#blocks, take: log.take, pos, body, ...log.name });
        chars += body.length;
      }
      log.sent = log.length;
      log.stored = true;
      this.#fresh.delete(log);
    }
    return blocks;
  }
}

/** What writes one message: an attempt of a step. */
export class TokenStream {
  readonly #live: LiveTokens;
  readonly #log: MessageLog;
  #closed = false;

  constructor(live: LiveTokens, log: MessageLog) {
    this.#live = live;
    this.#log = log;
  }

  /** @throws VALUE_NOT_SERIALIZABLE */
  write(part: TokenPart): void {
    if (!this.#closed) this.#live.write(this.#log, part);
  }

  /** What was written so far is void; what follows takes its place. */
  reset(): void {
    if (!this.#closed) this.#live.restart(this.#log);
  }

  /** Nothing more is written. What the final journal entry names: the attempt, and where the message ends. */
  close(): { readonly attempt: number; readonly last: number } {
    this.#closed = true;
    return { attempt: this.#log.name.attempt, last: this.#log.length };
  }

  /** The text that was streamed. */
  get text(): string {
    return this.#log.text;
  }

  /** It became too long: the text is only its beginning. */
  get cut(): boolean {
    return this.#log.cut;
  }

  /** The final entry is stored, or there will be none: the blocks can go. */
  forget(): void {
    this.#closed = true;
    this.#live.forget(this.#log);
  }
}

/** What a stream of tokens needs of its run. */
export interface TokensRun {
  readonly runId: string;
  readonly epoch: number;
  readonly journal: { readonly stored: number };
}

/** The messages of one run. */
export class RunTokens {
  readonly #live: LiveTokens;
  readonly #run: TokensRun;

  constructor(live: LiveTokens, run: TokensRun) {
    this.#live = live;
    this.#run = run;
  }

  open(stepKey: string, attempt: number): TokenStream {
    const { runId, epoch, journal } = this.#run;
    return this.#live.open({ runId, epoch, key: stepKey, attempt, afterSeq: journal.stored });
  }
}
