// Reading what is stored: a value lies inline or apart, a child's large output apart from how the child ended.
import type { Recorded } from "../domain/entry.ts";
import { decodeValue } from "../domain/value.ts";
import { getBlob } from "../store/blobs.ts";
import { untilAnswered } from "../store/patience.ts";
import type { Committer } from "./commit.ts";
import { metaOf } from "./replay.ts";

export class Values {
  readonly #committer: Committer;
  readonly #tenant: string;
  readonly #onUnreadable: (error: unknown) => Promise<never>;

  /** @param onUnreadable Stops the run; what asked for the value never hears again. */
  constructor(committer: Committer, tenant: string, onUnreadable: (error: unknown) => Promise<never>) {
    this.#committer = committer;
    this.#tenant = tenant;
    this.#onUnreadable = onUnreadable;
  }

  async load(text: string | null, blob: string | null): Promise<unknown> {
    try {
      if (blob === null) return text === null ? undefined : decodeValue(text);
      const { db, leaseMs } = this.#committer;
      const stored = await untilAnswered(() => getBlob(db, this.#tenant, blob), leaseMs);
      if (stored === null) throw new Error(`the stored value ${blob} is missing`);
      return decodeValue(stored);
    } catch (error) {
      return this.#onUnreadable(error);
    }
  }

  /** The value of an entry. */
  ofEntry(entry: Recorded): Promise<unknown> {
    return entry.blob === null ? Promise.resolve(metaOf(entry)["v"]) : this.load(null, entry.blob);
  }

  /** Uses the value of an entry that is decoded already: at once if it lies inline, so that a replay need not wait. */
  use(entry: Recorded, meta: Readonly<Record<string, unknown>>, use: (value: unknown) => void): void | Promise<void> {
    return entry.blob === null ? use(meta["v"]) : this.load(null, entry.blob).then(use);
  }

  /** What a message says. */
  async ofMessage(body: string | null, blob: string | null): Promise<unknown> {
    const said = body === null ? undefined : decodeValue(body);
    if (blob === null) return said;
    return { ...(said as Record<string, unknown> | undefined), output: await this.load(null, blob) };
  }

  /** The same from the entry that recorded its coming. */
  async ofReceived(entry: Recorded): Promise<unknown> {
    const meta = metaOf(entry);
    if (entry.blob === null) return meta["v"];
    if (!("m" in meta)) return this.load(null, entry.blob);
    return { ...(meta["m"] as Record<string, unknown>), output: await this.load(null, entry.blob) };
  }
}
