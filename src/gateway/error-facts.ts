// What an error says about itself, wherever in it that stands: errors of both majors of the AI SDK, of undici, and bodies of any provider.

/** Everything that was found, from the outside in. */
export interface ErrorFacts {
  /** The first that stands for a failure; else the first at all. */
  readonly status: number | null;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** Names of error classes: `AI_APICallError`, `AbortError`. */
  readonly names: ReadonlySet<string>;
  /** Lower-case words that stand for a reason: `code`, `type`, `status` and `reason` of errors and bodies. */
  readonly codes: ReadonlySet<string>;
  /** What it says to people, the provider's own words first. */
  readonly messages: readonly string[];
  /** `error.details` of Google's errors. */
  readonly details: readonly Readonly<Record<string, unknown>>[];
}

/** Enough for every real error; an end for those that refer to themselves. */
const NODES_MAX = 60;
const MESSAGE_CHARS_MAX = 20_000;
const BODY_CHARS_MAX = 200_000;
/** Where bodies and the errors around them keep what they are about. */
const THEIRS = [
  "data",
  "responseBody",
  "error",
  "value",
  "response",
  "body",
  "innererror",
  "metadata",
  "raw",
  "detail",
  "promptFeedback",
];
/** Where errors keep other errors. */
const OURS = ["cause", "lastError", "errors"];
const CODES = ["code", "type", "status", "reason", "blockReason"];

export function errorFacts(error: unknown): ErrorFacts {
  const reader = new Reader();
  reader.read(error);
  return reader.facts();
}

/** A thing to look at, and whether the provider said it. */
interface Node {
  readonly value: unknown;
  readonly isTheirs: boolean;
}

class Reader {
  readonly #statuses: number[] = [];
  readonly #headers: Record<string, string> = {};
  readonly #names = new Set<string>();
  readonly #codes = new Set<string>();
  readonly #theirs = new Set<string>();
  readonly #ours = new Set<string>();
  readonly #details: Record<string, unknown>[] = [];
  readonly #seen = new Set<object>();

  /** Breadth first: what stands further out is nearer to what happened. */
  read(error: unknown): void {
    const queue: Node[] = [{ value: error, isTheirs: false }];
    for (let node = queue.shift(); node !== undefined && this.#seen.size < NODES_MAX; node = queue.shift()) {
      const { value, isTheirs } = node;
      if (typeof value === "string") queue.push(...this.#readText(value, isTheirs));
      if (typeof value !== "object" || value === null || this.#seen.has(value)) continue;
      this.#seen.add(value);
      queue.push(...(Array.isArray(value) ? listNodes(value, isTheirs) : this.#readObject(value, isTheirs)));
    }
  }

  facts(): ErrorFacts {
    return {
      status: this.#statuses.find((status) => status >= 400) ?? this.#statuses[0] ?? null,
      headers: this.#headers,
      names: this.#names,
      codes: this.#codes,
      messages: [...this.#theirs, ...this.#ours],
      details: this.#details,
    };
  }

  /** A text is a message, or a body in JSON: some proxies put one into the other. */
  #readText(text: string, isTheirs: boolean): Node[] {
    const body = parsedBody(text);
    if (body !== null) return [{ value: body, isTheirs: true }];
    const message = text.slice(0, MESSAGE_CHARS_MAX).trim();
    if (message !== "") (isTheirs ? this.#theirs : this.#ours).add(message);
    return [];
  }

  #readObject(value: object, isTheirs: boolean): Node[] {
    const isError = value instanceof Error || typeof get(value, "stack") === "string";
    const name = get(value, "name");
    if (isError && typeof name === "string") this.#names.add(name);
    this.#readCodes(value);
    this.#readHeaders(get(value, "responseHeaders") ?? get(value, "headers"));
    const details = get(value, "details");
    if (Array.isArray(details)) this.#details.push(...details.filter(isRecord).slice(0, 20));
    const saysIt = isTheirs || !isError;
    return [
      ...["message", "msg"].map((key) => ({ value: get(value, key), isTheirs: saysIt })),
      ...THEIRS.map((key) => ({ value: get(value, key), isTheirs: true })),
      ...OURS.map((key) => ({ value: get(value, key), isTheirs: saysIt })),
    ];
  }

  #readCodes(value: object): void {
    for (const key of CODES) {
      const code = get(value, key);
      if (typeof code === "string" && code.length <= 100) this.#codes.add(code.toLowerCase());
    }
    for (const key of ["statusCode", "status", "code"]) {
      const status = Number(get(value, key));
      if (Number.isInteger(status) && status >= 100 && status <= 599) this.#statuses.push(status);
    }
  }

  #readHeaders(headers: unknown): void {
    const entries = headers instanceof Headers ? [...headers] : isRecord(headers) ? Object.entries(headers) : [];
    for (const [name, content] of entries.slice(0, 200)) {
      if (typeof content === "string") this.#headers[name.toLowerCase()] ??= content;
    }
  }
}

function listNodes(values: readonly unknown[], isTheirs: boolean): Node[] {
  return values.slice(0, 20).map((value) => ({ value, isTheirs }));
}

/** The object or list that a text is in JSON, or null. */
function parsedBody(text: string): object | null {
  if (text.length > BODY_CHARS_MAX || !/^\s*[[{]/.test(text)) return null;
  try {
    return JSON.parse(text) as object;
  } catch {
    return null;
  }
}

function get(value: object, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key];
  } catch {
    return undefined; // a getter that throws says nothing
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
