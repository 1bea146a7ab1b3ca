// The price list of genai-prices, loaded when a price is first asked for: models found by provider and name.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { ConditionalPrice, ModelInfo, ModelPrice, Provider } from "@pydantic/genai-prices";

type Library = typeof import("@pydantic/genai-prices");
export type MatchLogic = ModelInfo["match"];

export interface ListedPrice {
  /** `genai-prices@0.1.8/openai/gpt-5`, and `@2026-07-30` where a price of that date holds. */
  readonly id: string;
  readonly prices: ModelPrice;
  /** The model is named in the list, not only like a model that is. */
  readonly isExact: boolean;
}

export class PriceList {
  readonly #library: Library;
  readonly #version: string;

  private constructor(library: Library, version: string) {
    this.#library = library;
    this.#version = version;
  }

  static async load(): Promise<PriceList> {
    return new PriceList(await import("@pydantic/genai-prices"), readVersion());
  }

  /** The list's own id of a provider: by its id, else by the address of its API. */
  providerId(name: string | null, url: string | null): string | null {
    if (name !== null) {
      const named = this.#library.findProvider({ providerId: ALIASES[name] ?? name });
      if (named !== undefined && named.id === (ALIASES[name] ?? name).toLowerCase()) return named.id;
    }
    return url === null ? null : (this.#library.findProvider({ providerApiUrl: url })?.id ?? null);
  }

  find(providerId: string, model: string, at: Date): ListedPrice | null {
    const found = this.#library.calcPrice({}, model, { providerId, timestamp: at });
    if (found === null) return null;
    const since = startOf(found.model, found.model_price);
    return {
      id: `genai-prices@${this.#version}/${found.provider.id}/${found.model.id}${since === null ? "" : `@${since}`}`,
      prices: found.model_price,
      isExact: isNamed(found.model, model),
    };
  }
}

/** Names by which people know them. */
const ALIASES: Readonly<Record<string, Provider["id"]>> = { gemini: "google", xai: "x-ai", togetherai: "together" };

/** A date or "latest" behind a name changes no price. */
const RELEASE = /[-@](?:latest|20\d{2}-?[01]\d-?[0-3]\d|\d{4})$/;

function isNamed(info: ModelInfo, model: string): boolean {
  const names = new Set([info.id, ...namesIn(info.match)].map((name) => name.toLowerCase()));
  let name = model.toLowerCase().trim();
  for (;;) {
    if (names.has(name)) return true;
    const shorter = name.replace(RELEASE, "");
    if (shorter === name) return false;
    name = shorter;
  }
}

/** Names that a match spells out; a part of a name or an expression is none. */
function namesIn(match: MatchLogic): string[] {
  if ("equals" in match) return [match.equals];
  if ("starts_with" in match) return [match.starts_with];
  if ("or" in match) return match.or.flatMap(namesIn);
  return "and" in match ? match.and.flatMap(namesIn) : [];
}

function startOf({ prices }: ModelInfo, current: ModelPrice): string | null {
  if (!Array.isArray(prices)) return null;
  const constraint = prices.find((price: ConditionalPrice) => price.prices === current)?.constraint;
  return constraint?.type === "start_date" ? constraint.start_date : null;
}

function readVersion(): string {
  const entry = createRequire(import.meta.url).resolve("@pydantic/genai-prices");
  const manifest = JSON.parse(readFileSync(join(dirname(entry), "../package.json"), "utf8")) as { version: string };
  return manifest.version;
}
