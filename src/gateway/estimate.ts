// What a call will use, before it is made: bytes / 4 times what this model was seen to need, and how long its answers usually are.
import { OutputHistogram } from "./output-histogram.ts";
import type { Estimate, Target } from "./roles.ts";
import type { GuardedTokenizer } from "./tokenizer.ts";

/** English in the encodings of today. */
const BYTES_PER_TOKEN = 4;
/** Pictures and files are many bytes and few tokens, rare scripts the other way round; beyond this it is a wrong figure. */
const FACTOR_MIN = 0.02;
const FACTOR_MAX = 8;
/** How much the newest call counts, once enough have been seen. */
const LEARNING_RATE = 0.1;
/** Calls below so many tokens are mostly frame: they teach less. */
const FULL_WEIGHT_TOKENS = 200;
/** Answers of a feature that must have been seen before their length means something. */
const ANSWERS_MIN = 20;
const PERCENTILE = 0.95;
/** Pairs of model and feature that are remembered: features are words of the user. */
const MEMORIES_MAX = 5_000;

export interface EstimateInput {
  readonly inputBytes: number;
  /** `max_tokens` as the caller set it; null when it did not. */
  readonly maxOutputTokens: number | null;
  /** Embeddings put nothing out. */
  readonly kind?: "chat" | "embedding";
  readonly feature: string | null;
  /** The text that the bytes are, for a tokenizer. */
  readonly text?: string | null;
}

/** What a model was seen to do; one row of a table. */
export interface ModelFactor {
  /** `provider/model`. */
  readonly model: string;
  /** Empty: over all features. */
  readonly feature: string;
  /** Tokens per estimated token; 1 until something was learned. */
  readonly factor: number;
  /** How much has been learned. */
  readonly weight: number;
  /** Counts of answer lengths, as an OutputHistogram writes them. */
  readonly outputs: readonly number[];
}

interface Memory {
  readonly model: string;
  readonly feature: string;
  factor: number;
  weight: number;
  outputs: OutputHistogram;
}

export class Estimator {
  readonly #outputTokensDefault: number;
  readonly #tokenizer: GuardedTokenizer | null;
  readonly #memories = new Map<string, Memory>();
  readonly #changed = new Set<Memory>();

  constructor(outputTokensDefault: number, tokenizer: GuardedTokenizer | null = null) {
    this.#outputTokensDefault = outputTokensDefault;
    this.#tokenizer = tokenizer;
  }

  estimate(target: Target, input: EstimateInput): Estimate {
    return {
      inputTokens: Math.max(1, this.#counted(target, input) ?? Math.ceil(this.#byBytes(target, input.inputBytes))),
      outputTokens:
        input.kind === "embedding" ? 0 : (input.maxOutputTokens ?? this.#usualOutput(target, input.feature)),
    };
  }

  /** What the call really used. An answer that its `max_tokens` cut off says nothing about how long answers are. */
  learn(
    target: Target,
    input: EstimateInput,
    used: { readonly inputTokens: number; readonly outputTokens: number },
  ): void {
    const plain = input.inputBytes / BYTES_PER_TOKEN;
    const overall = this.#memory(target, "");
    if (plain > 0 && used.inputTokens > 0) learnFactor(overall, clamp(used.inputTokens / plain), plain);
    const wasCut = input.maxOutputTokens !== null && used.outputTokens >= input.maxOutputTokens;
    if (input.kind === "embedding" || used.outputTokens <= 0 || wasCut) return;
    overall.outputs.add(used.outputTokens);
    if (input.feature !== null && input.feature !== "")
      this.#memory(target, input.feature).outputs.add(used.outputTokens);
  }

  /** What has been learned since the last time, or with `all` everything. */
  snapshot(all = false): ModelFactor[] {
    const memories = all ? [...this.#memories.values()] : [...this.#changed];
    this.#changed.clear();
    return memories.map(({ model, feature, factor, weight, outputs }) => {
      return { model, feature, factor, weight, outputs: outputs.toJSON() };
    });
  }

  /** Takes over what others learned, where they know more. Rows that make no sense are passed over. */
  restore(rows: readonly ModelFactor[]): void {
    for (const row of rows) {
      const outputs = OutputHistogram.from(row.outputs);
      const isSound =
        typeof row.model === "string" && typeof row.feature === "string" && row.weight >= 0 && row.factor > 0;
      if (outputs === null || !isSound) continue;
      const memory = this.#place(row.model, row.feature);
      if (row.weight >= memory.weight) {
        memory.factor = clamp(row.factor);
        memory.weight = Math.min(row.weight, 1 / LEARNING_RATE);
      }
      if (outputs.total >= memory.outputs.total) memory.outputs = outputs;
    }
  }

  /** By the user's tokenizer, whose count is taken as it is. */
  #counted({ model }: Target, { text }: EstimateInput): number | null {
    return text === undefined || text === null ? null : (this.#tokenizer?.count(model, text) ?? null);
  }

  #byBytes(target: Target, bytes: number): number {
    return (bytes / BYTES_PER_TOKEN) * (this.#recall(target, "")?.factor ?? 1);
  }

  #usualOutput(target: Target, feature: string | null): number {
    const [own, overall] = [this.#recall(target, feature ?? ""), this.#recall(target, "")];
    const known = [own, overall].find((memory) => memory !== undefined && memory.outputs.total >= ANSWERS_MIN);
    return known?.outputs.percentile(PERCENTILE) ?? this.#outputTokensDefault;
  }

  #recall({ provider, model }: Target, feature: string): Memory | undefined {
    return this.#memories.get(keyOf(`${provider}/${model}`, feature));
  }

  #memory({ provider, model }: Target, feature: string): Memory {
    const memory = this.#place(`${provider}/${model}`, feature);
    this.#changed.add(memory);
    return memory;
  }

  /** The memory of it, the newest now; the one not used for longest makes room. */
  #place(model: string, feature: string): Memory {
    const key = keyOf(model, feature);
    const memory = this.#memories.get(key) ?? { model, feature, factor: 1, weight: 0, outputs: new OutputHistogram() };
    this.#memories.delete(key);
    this.#memories.set(key, memory);
    if (this.#memories.size > MEMORIES_MAX) this.#forgetOldest();
    return memory;
  }

  #forgetOldest(): void {
    for (const [key, memory] of this.#memories) {
      this.#memories.delete(key);
      this.#changed.delete(memory);
      return;
    }
  }
}

/** The first calls teach a lot, later ones the learning rate; small calls less. */
function learnFactor(memory: Memory, ratio: number, plainTokens: number): void {
  const trust = Math.min(1, plainTokens / FULL_WEIGHT_TOKENS);
  memory.weight = Math.min(memory.weight + trust, 1 / LEARNING_RATE);
  const rate = trust / Math.max(memory.weight, 1);
  memory.factor = clamp(memory.factor + (ratio - memory.factor) * Math.min(1, rate));
}

function clamp(factor: number): number {
  return Math.min(FACTOR_MAX, Math.max(FACTOR_MIN, factor));
}

function keyOf(model: string, feature: string): string {
  return `${model}\n${feature}`;
}
