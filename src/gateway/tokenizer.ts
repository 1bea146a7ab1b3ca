// The user's tokenizer, kept from doing harm: it runs in the event loop, and it is other people's code.
import { utf8Length } from "../domain/text.ts";

/** Longer texts are not worth the time: bytes are near enough there. */
const CHARS_MAX = 200_000;
/** A BPE tokenizer needs seconds for 100 KB of one letter. */
const LONG_RUN = /(.)\1{999}/s;
/** So long may one call block everything else in the process. */
const SLOW_MS = 50;
/** After so many calls that threw, answered nonsense or were slow it is not asked again. */
const STRIKES_MAX = 3;

export class GuardedTokenizer {
  readonly #count: (model: string, text: string) => unknown;
  readonly #report: (problem: string, error?: unknown) => void;
  #strikes = 0;

  constructor(count: (model: string, text: string) => unknown, report: (problem: string, error?: unknown) => void) {
    this.#count = count;
    this.#report = report;
  }

  /** Tokens of the text, or null where bytes must do. */
  count(model: string, text: string): number | null {
    if (this.#strikes >= STRIKES_MAX || text.length > CHARS_MAX || LONG_RUN.test(text)) return null;
    const startedMs = performance.now();
    try {
      const tokens = this.#count(model, text);
      const tookMs = performance.now() - startedMs;
      if (tookMs > SLOW_MS) this.#strike(`it took ${Math.round(tookMs)} ms for ${text.length} characters`);
      if (isPlausible(tokens, text)) return Math.ceil(tokens);
      this.#strike(`it answered ${String(tokens).slice(0, 40)} for ${text.length} characters`);
    } catch (error) {
      this.#strike("it threw", error);
    }
    return null;
  }

  #strike(problem: string, error?: unknown): void {
    this.#strikes++;
    const end = this.#strikes === STRIKES_MAX ? "; it is not asked again, bytes are counted instead" : "";
    this.#report(`gateway.tokenizer: ${problem}${end}`, error);
  }
}

/** No tokenizer makes more tokens than bytes, nor a token of more than a few hundred. */
function isPlausible(tokens: unknown, text: string): tokens is number {
  if (typeof tokens !== "number" || !(tokens >= 0)) return false;
  const bytes = utf8Length(text);
  return tokens <= bytes + 16 && tokens >= bytes / 512 - 1;
}
