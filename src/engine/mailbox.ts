// What others told the run and it has not consumed yet: kept by key, oldest first, until a wait asks for it.
import type { Message } from "../domain/message.ts";

/** What a mailbox needs of its run. */
export interface MailboxHost {
  load(after: number): Promise<Message[]>;
  /** Keeps the run in memory while mail is read. */
  during<T>(work: () => Promise<T>): Promise<T>;
  /** Mail has come. */
  onMail(): void;
  onUnreadable(error: unknown): void;
}

export class Mailbox {
  readonly #host: MailboxHost;
  readonly #kept = new Map<string, Message[]>();
  #seen: number;
  #announced: number;
  #loading: Promise<void> | null = null;
  #nudges: number[] = [];

  constructor(host: MailboxHost, seen: number) {
    this.#host = host;
    this.#seen = seen;
    this.#announced = seen;
  }

  /** The newest message that this worker has read. */
  get seen(): number {
    return this.#seen;
  }

  /** The database says that the inbox reaches this far. */
  noticed(inboxSeq: number): void {
    if (inboxSeq <= this.#announced) return;
    this.#announced = inboxSeq;
    void this.#host.during(() => this.refresh());
  }

  /** Reads what is new and hands it to the waits that match. */
  async refresh(): Promise<void> {
    this.#loading ??= this.#loadAll().finally(() => {
      this.#loading = null;
    });
    await this.#loading;
  }

  /** The oldest message under a key, taken out. */
  take(key: string): Message | undefined {
    const messages = this.#kept.get(key);
    const message = messages?.shift();
    if (messages?.length === 0) this.#kept.delete(key);
    return message;
  }

  /** Nudges say nothing: they are deleted with the next farewell. */
  takeNudges(): number[] {
    const nudges = this.#nudges;
    this.#nudges = [];
    return nudges;
  }

  /** Again, when something was announced while a read was under way that may not have seen it. */
  async #loadAll(): Promise<void> {
    do await this.#load();
    while (this.#announced > this.#seen);
  }

  async #load(): Promise<void> {
    const announced = this.#announced;
    let messages: Message[];
    try {
      messages = await this.#host.load(this.#seen);
    } catch (error) {
      this.#host.onUnreadable(error);
      this.#announced = this.#seen;
      return;
    }
    for (const message of messages) {
      this.#seen = Math.max(this.#seen, message.seq);
      if (message.kind === "nudge") this.#nudges.push(message.seq);
      else {
        const same = this.#kept.get(message.key);
        if (same === undefined) this.#kept.set(message.key, [message]);
        else same.push(message);
      }
    }
    // What was announced and is not there has been consumed, before a takeover.
    this.#seen = Math.max(this.#seen, announced);
    this.#announced = Math.max(this.#announced, this.#seen);
    this.#host.onMail();
  }
}
