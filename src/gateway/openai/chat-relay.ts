// A stream of chat completion chunks on its way through: passed on as it is, with the figures read and, if nobody asked, taken out.
import type { TokenUsage } from "../../domain/usage.ts";
import { CompletionAssembly } from "./completion-assembly.ts";
import type { ServerEvent } from "./event-stream.ts";
import type { Relay, Taken } from "./relay.ts";
import { failedStream } from "./upstream.ts";
import { isObject, usageOfMember } from "./usage-members.ts";

/** Outside of strings there is no other place for these characters: inside, a quote has a backslash before it. */
const NO_USAGE = /,\s*"usage"\s*:\s*null/;

export class ChatRelay implements Relay {
  readonly #wantsUsage: boolean;
  readonly #assembly: CompletionAssembly | null;
  readonly #texts: string[] = [];
  #isDone = false;
  #isFinished = false;
  usage: TokenUsage | null = null;

  /** `wantsUsage`: the client asked for it. `keeps`: the answer is wanted in one piece afterwards. */
  constructor(wantsUsage: boolean, keeps: boolean) {
    this.#wantsUsage = wantsUsage;
    this.#assembly = keeps ? new CompletionAssembly() : null;
  }

  take({ data }: ServerEvent): Taken {
    if (data === "[DONE]") {
      this.#isDone = true;
      return NOTHING;
    }
    const chunk: unknown = JSON.parse(data);
    if (!isObject(chunk)) return NOTHING;
    if (isObject(chunk["error"])) throw failedStream(chunk["error"]);
    this.#assembly?.add(chunk);
    const choices = Array.isArray(chunk["choices"]) ? chunk["choices"].filter(isObject) : [];
    let isContent = false;
    for (const choice of choices) isContent = this.#look(choice) || isContent;
    if (isObject(chunk["usage"])) {
      this.usage = usageOfMember(chunk["usage"]) ?? this.usage;
      if (choices.length === 0 && !this.#wantsUsage) return NOTHING;
    }
    const shown = !this.#wantsUsage && chunk["usage"] === null ? data.replace(NO_USAGE, "") : data;
    return { text: `data: ${shown}\n\n`, isContent };
  }

  /** Some servers end without saying [DONE], others end when they break. */
  get isWhole(): boolean {
    return this.#isDone || this.#isFinished;
  }

  get text(): string {
    return this.#texts.join("");
  }

  whole(): string {
    return this.#assembly?.text() ?? "";
  }

  /** True when there is more in it than whose words these are. */
  #look({ delta, finish_reason: reason }: Record<string, unknown>): boolean {
    if (typeof reason === "string") this.#isFinished = true;
    if (!isObject(delta)) return this.#isFinished;
    for (const said of [delta["content"], delta["reasoning_content"], delta["refusal"]])
      if (typeof said === "string" && said !== "") this.#texts.push(said);
    for (const call of Array.isArray(delta["tool_calls"]) ? delta["tool_calls"] : [])
      if (isObject(call) && isObject(call["function"])) this.#texts.push(String(call["function"]["arguments"] ?? ""));
    const isOnlyRole = Object.entries(delta).every(
      ([name, value]) => name === "role" || value === null || value === "",
    );
    return !isOnlyRole || typeof reason === "string";
  }
}

const NOTHING: Taken = { text: null, isContent: false };
