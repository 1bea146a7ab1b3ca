// What a step's body writes to while it runs. It begins with the first word: most steps say nothing, and cost nothing here.
import { KIND } from "../domain/entry.ts";
import { messageIn, type TokenPart } from "../domain/tokens.ts";
import { encodeValue } from "../domain/value.ts";
import type { RunJournal } from "./journal.ts";
import type { RunTokens, TokenStream } from "./tokens.ts";

/** What a stream needs of its run. */
interface StreamingRun {
  readonly journal: RunJournal;
  readonly tokens: RunTokens;
}

export class StepStream {
  readonly attempt: number;
  readonly #run: StreamingRun;
  readonly #key: string;
  #tokens: TokenStream | null = null;
  #closed = false;

  constructor(run: StreamingRun, key: string, attempt: number) {
    this.#run = run;
    this.#key = key;
    this.attempt = attempt;
  }

  /** @throws VALUE_NOT_SERIALIZABLE */
  write(part: TokenPart): void {
    if (this.#closed) return;
    this.#tokens ??= this.#run.tokens.open(this.#key, this.attempt);
    this.#tokens.write(part);
  }

  reset(): void {
    this.#tokens?.reset();
  }

  /**
   * The body has given its value. Answers what the record says about the stream; where the value is not the message that was
   * streamed, an entry with that goes before the record, in the same write.
   */
  recordWith(value: unknown): string {
    this.#closed = true;
    if (this.#tokens === null) return "";
    const { attempt, last } = this.#tokens.close();
    if (last === 0) return "";
    const { text, cut } = this.#tokens;
    const said = messageIn(value)?.text ?? (text === "" ? "" : null);
    if (said !== null && (said === text || (cut && said.startsWith(text)))) return `,"t":${last}`;
    this.#run.journal.buffer(KIND.message, this.#key, `"n":${attempt},"t":${last}`, encodeValue(text));
    return "";
  }

  /** The attempt is over and stored, or was given up. */
  end(): void {
    this.#closed = true;
    this.#tokens?.forget();
  }
}
