// What a run has to write and nobody has written yet: entries, which bring large values along, and what changes besides.
import { createHash } from "node:crypto";
import { INLINE_VALUE_BYTES_MAX } from "../domain/limits.ts";
import type { Apart } from "../store/blobs.ts";
import type { Closing } from "../store/calls.ts";
import type { Extras, NewApproval, NewEntry } from "../store/journal.ts";

interface Merged extends Extras {
  readonly consumed: number[];
  readonly approvals: NewApproval[];
  readonly spend: Closing[];
  threadState?: NonNullable<Extras["threadState"]>;
}

export class Draft {
  readonly #tenant: string;
  #entries: NewEntry[] = [];
  #extras: Merged | null = null;

  constructor(tenant: string) {
    this.#tenant = tenant;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** True when an entry comes with more than a farewell can carry. */
  get hasMore(): boolean {
    const extras = this.#extras;
    return (
      extras !== null && (extras.spend.length > 0 || extras.approvals.length > 0 || extras.threadState !== undefined)
    );
  }

  /**
   * An entry with its value inline, or under a hash when it is large; then it brings the value along.
   *
   * @param meta JSON members before the value, without braces: `"n":1,"ms":12`.
   */
  compose(kind: number, key: string | null, meta: string, value: string | null): NewEntry {
    if (
      value !== null &&
      value.length > INLINE_VALUE_BYTES_MAX / 4 &&
      Buffer.byteLength(value) > INLINE_VALUE_BYTES_MAX
    ) {
      const apart = this.apart(value);
      return { kind, key, body: `{${meta}}`, blob: apart.hash, apart };
    }
    const separator = meta !== "" && value !== null ? "," : "";
    return { kind, key, body: `{${meta}${separator}${value === null ? "" : `"v":${value}`}}`, blob: null };
  }

  /** A large value under its hash, for the statement that refers to it. */
  apart(value: string): Apart {
    return { tenant: this.#tenant, hash: createHash("sha256").update(value).digest("hex"), body: value };
  }

  add(entry: NewEntry, extras?: Extras): void {
    this.#entries.push(entry);
    if (extras !== undefined) this.#merge(extras);
  }

  take(): { entries: NewEntry[]; extras: Extras | null } {
    const taken = { entries: this.#entries, extras: this.#extras };
    this.#entries = [];
    this.#extras = null;
    return taken;
  }

  /** What was taken and not written comes before what was added since. */
  putBack(entries: readonly NewEntry[], extras: Extras | null): void {
    this.#entries.unshift(...entries);
    if (extras !== null) this.#merge(extras);
  }

  clear(): void {
    this.#entries = [];
    this.#extras = null;
  }

  #merge({ consumed = [], approvals = [], spend = [], threadState }: Extras): void {
    this.#extras ??= { consumed: [], approvals: [], spend: [] };
    this.#extras.consumed.push(...consumed);
    this.#extras.approvals.push(...approvals);
    this.#extras.spend.push(...spend);
    if (threadState !== undefined) this.#extras.threadState = threadState;
  }
}
