// Where in the agent's code something was asked for: the path of branches, and how often each name came up there.
import { fail } from "../domain/errors.ts";
import { markedName } from "../domain/step-key.ts";

/**
 * Tells whether two requests came in the same turn, where their order is the code's own. A turn ends with the event loop's, and
 * whenever something recorded is told to the code: in a replay, which gives many entries in one turn of the loop, as before it.
 */
export class Turns {
  #turn = 0;
  #scheduled = false;

  now(): number {
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.#turn += 1;
      });
    }
    return this.#turn;
  }

  /** The code is told something recorded: what it asks for now follows from that. */
  pass(): void {
    this.#turn += 1;
  }
}

export class Scope {
  readonly path: string;
  readonly parent: Scope | null;
  /** Fires when the branch has lost its race, and with the run. */
  readonly abort: AbortSignal;
  readonly #turns: Turns;
  readonly #controller: AbortController | null;
  #counts = new Map<string, number>();
  #open = new Map<string, { turn: number; count: number }>();
  #prefix: string;
  #closed = false;

  constructor(path: string, parent: Scope | null, prefix: string, turns: Turns, abort: AbortSignal) {
    this.path = path;
    this.parent = parent;
    this.#prefix = prefix;
    this.#turns = turns;
    this.#controller = parent === null ? null : new AbortController();
    this.abort = this.#controller === null ? abort : AbortSignal.any([abort, this.#controller.signal]);
  }

  /** What every key here begins with: the checkpoints before it. */
  get prefix(): string {
    return this.#prefix;
  }

  /** The name of something that was asked for here or in a branch and has not ended, or null. */
  get pending(): string | null {
    const [name] = this.#open.keys();
    return name ?? null;
  }

  get closed(): boolean {
    return this.#closed || (this.parent?.closed ?? false);
  }

  /** The branch is over: what it still asks for never settles. */
  close(): void {
    this.#closed = true;
    this.#controller?.abort(new DOMException("The branch lost its race.", "AbortError"));
  }

  /** A branch. The segment comes from `open`, so that two groups of one name do not share a path. */
  child(segment: string): Scope {
    return new Scope(`${this.path}${segment}/`, this, this.#prefix, this.#turns, this.abort);
  }

  /** A key for the next occurrence of a name here. */
  key(name: string): string {
    return `${this.#prefix}${this.path}${this.#next(markedName(name, undefined))}`;
  }

  #next(marked: string): string {
    const count = (this.#counts.get(marked) ?? 0) + 1;
    this.#counts.set(marked, count);
    return `${marked}#${count}`;
  }

  /**
   * The same for something that stays open for a while. What has a `mark` of its own (the id of a tool call, a hash of what is asked)
   * is told apart by it, so that others of its name may be open, in whatever order they were asked for.
   *
   * @throws DUPLICATE_STEP when the same is open here since an earlier turn: a replay could not tell them apart.
   */
  open(plainName: string, mark?: string): { key: string; segment: string; done: () => void } {
    const name = markedName(plainName, mark);
    const turn = this.#turns.now();
    const open = this.#open.get(name);
    if (open !== undefined && open.turn !== turn)
      throw fail("DUPLICATE_STEP", { name: plainName, scope: this.path === "" ? "(the run)" : this.path });
    const entry = open ?? { turn, count: 0 };
    entry.count += 1;
    this.#open.set(name, entry);
    const done = (): void => {
      entry.count -= 1;
      if (entry.count === 0 && this.#open.get(name) === entry) this.#open.delete(name);
    };
    const segment = this.#next(name);
    return { key: `${this.#prefix}${this.path}${segment}`, segment, done };
  }

  /** After a checkpoint names count from one again, under the next generation. */
  restart(prefix: string): void {
    this.#counts = new Map();
    this.#open = new Map();
    this.#prefix = prefix;
  }
}

/**
 * What was done for a branch, unless the branch has lost its race meanwhile: then its code hears nothing of it any more, as in a
 * replay. Call it around `during`, not inside: what never settles must not count as under way.
 */
export function unlessClosed<T>(scope: Scope, work: Promise<T>): Promise<T> {
  // Not an async function: hundreds of steps wait at this place, and each frame costs them memory.
  return work.then(
    (value) => (scope.closed ? NEVER : value),
    (error) => {
      if (scope.closed) return NEVER;
      throw error;
    },
  );
}

const NEVER = new Promise<never>(() => undefined);

export function generationPrefix(generation: number): string {
  return generation === 0 ? "" : `@${generation}/`;
}

/** Where a checkpoint keeps the state of a run without a thread: no name has this form, because `#` would follow. */
export const KEPT_STATE = "(state)";
/** And what the code had so far. */
export const KEPT_PARTIAL = "(partial)";
