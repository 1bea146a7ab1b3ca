// The stream of a reply whose words are shown as they come: what an agent acts on, tool calls and the end, comes when it is recorded.
import type { LanguageModelV3StreamPart } from "@ai-sdk/provider";
import { partsOf } from "../../gateway/reply.ts";
import type { LiveSink } from "./ask-model.ts";
import type { ModelRecord } from "./model-record.ts";

export class LiveStream implements LiveSink {
  readonly stream: ReadableStream<LanguageModelV3StreamPart>;
  #controller!: ReadableStreamDefaultController<LanguageModelV3StreamPart>;
  #held: LanguageModelV3StreamPart[] = [];
  #attempt = 0;
  #begun = false;
  #shown = false;
  #open = true;

  constructor() {
    this.stream = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
      },
      // Nobody reads any more; the call goes on to its record.
      cancel: () => {
        this.#open = false;
      },
    });
  }

  get shown(): boolean {
    return this.#shown;
  }

  show(part: LanguageModelV3StreamPart, attempt: number): void {
    if (attempt !== this.#attempt) this.#held = [];
    this.#attempt = attempt;
    switch (part.type) {
      case "raw":
      case "error":
      case "finish":
        return;
      case "stream-start":
      case "response-metadata":
      case "tool-call":
      case "tool-result":
      case "tool-approval-request":
      case "file":
      case "source":
        this.#held.push(part);
        return;
      default:
        if (!this.#begun) this.#begin();
        this.#shown = true;
        this.#give(part);
    }
  }

  follow(record: Promise<ModelRecord>): void {
    record.then(
      (reply) => this.#finish(reply),
      (error: unknown) => {
        this.#give({ type: "error", error });
        this.#close();
      },
    );
  }

  /** What the provider said of itself comes before the first word. */
  #begin(): void {
    this.#begun = true;
    const first = this.#held.filter(({ type }) => type === "stream-start" || type === "response-metadata");
    this.#held = this.#held.filter((part) => !first.includes(part));
    for (const part of first) this.#give(part);
  }

  #finish(reply: ModelRecord): void {
    if (this.#shown) {
      for (const part of this.#held) this.#give(part);
      const { usage, finishReason, providerMetadata } = reply;
      // The recorded one: the provider need not have given itself an id.
      this.#give({ type: "response-metadata", ...reply.response });
      this.#give({
        type: "finish",
        usage,
        finishReason,
        ...(providerMetadata === undefined ? {} : { providerMetadata }),
      });
    } else for (const part of partsOf(reply)) this.#give(part);
    this.#close();
  }

  #give(part: LanguageModelV3StreamPart): void {
    if (this.#open) this.#controller.enqueue(part);
  }

  #close(): void {
    if (this.#open) this.#controller.close();
    this.#open = false;
  }
}
