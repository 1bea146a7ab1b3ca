// A stream of the Responses API on its way through: passed on as it is, its figures and its end read.
import type { TokenUsage } from "../../domain/usage.ts";
import type { ServerEvent } from "./event-stream.ts";
import type { Relay, Taken } from "./relay.ts";
import { failedStream } from "./upstream.ts";
import { isObject, usageOfMember } from "./usage-members.ts";

/** They only say that there will be something. */
const PREFACE = new Set(["response.created", "response.in_progress", "response.queued"]);
const ENDS = new Set(["response.completed", "response.incomplete"]);

export class ResponsesRelay implements Relay {
  readonly #texts: string[] = [];
  #response: Record<string, unknown> | null = null;
  usage: TokenUsage | null = null;

  take({ event, data }: ServerEvent): Taken {
    if (data === "[DONE]") return { text: null, isContent: false };
    const said: unknown = JSON.parse(data);
    if (!isObject(said)) return { text: null, isContent: false };
    const type = String(said["type"] ?? event ?? "");
    if (type === "error" || isObject(said["error"])) throw failedStream(said["error"] ?? said);
    const response = isObject(said["response"]) ? said["response"] : null;
    if (type === "response.failed") throw failedStream(response?.["error"] ?? said);
    if (ENDS.has(type) && response !== null) {
      this.#response = response;
      this.usage = usageOfMember(response["usage"]);
    }
    if (typeof said["delta"] === "string") this.#texts.push(said["delta"]);
    return { text: `event: ${type}\ndata: ${data}\n\n`, isContent: !PREFACE.has(type) };
  }

  get isWhole(): boolean {
    return this.#response !== null;
  }

  get text(): string {
    return this.#texts.join("");
  }

  whole(): string {
    return JSON.stringify(this.#response);
  }
}
