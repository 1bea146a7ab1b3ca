// What is not a call of a model: lists of models, files and batches.
import type { IncomingHttpHeaders } from "node:http";
import type { AnthropicBatches } from "./anthropic-batches.ts";
import { anthropicMessages } from "./anthropic-messages.ts";
import type { Wire } from "./conversation.ts";
import type { Complaint } from "./dialect.ts";
import type { GeminiBatches } from "./gemini-batches.ts";
import type { World } from "./model-call.ts";
import { modelList, modelOf } from "./models-list.ts";
import type { OpenAiBatches } from "./openai-batches.ts";
import { countPrompt } from "./request.ts";
import type { Route } from "./routes.ts";
import { type FakeProviderSettings, LISTED } from "./settings.ts";

export interface Shelves {
  readonly settings: FakeProviderSettings;
  readonly world: World;
  readonly openAiBatches: OpenAiBatches;
  readonly anthropicBatches: AnthropicBatches;
  readonly geminiBatches: GeminiBatches;
}

interface Asked {
  readonly route: Route;
  readonly bytes: Uint8Array;
  readonly body: Wire;
  readonly headers: IncomingHttpHeaders;
  readonly key: string;
  /** Where the client came in, without the `/v1`. */
  readonly base: string;
}

/** An object; a string is a file's content; a complaint is what is wrong; null is not there. */
export async function lookUp(shelves: Shelves, asked: Asked): Promise<Wire> {
  const { protocol, operation, id } = asked.route;
  if (operation === "models") {
    const names = shelves.settings.models ?? LISTED[protocol];
    return id === null ? modelList(protocol, names) : names.includes(id as never) ? modelOf(protocol, id) : null;
  }
  if (protocol === "google") return lookUpGemini(shelves, asked);
  return protocol === "anthropic" ? lookUpAnthropic(shelves, asked) : lookUpOpenAi(shelves, asked);
}

export function isComplaint(found: Wire): found is Complaint {
  return typeof found?.status === "number" && typeof found.message === "string" && !("id" in found);
}

function lookUpOpenAi({ openAiBatches }: Shelves, { route, bytes, body, headers, key }: Asked): Promise<Wire> | Wire {
  const id = route.id ?? "";
  switch (route.operation) {
    case "file_upload":
      return openAiBatches.upload(bytes, headers["content-type"] ?? "");
    case "file_list":
      return openAiBatches.files();
    case "file_content":
      return openAiBatches.content(id);
    case "file_delete":
      return openAiBatches.delete(id);
    case "file":
      return openAiBatches.file(id);
    case "batch_create":
      return openAiBatches.create(body, key);
    case "batch_list":
      return openAiBatches.list();
    case "batch_cancel":
      return openAiBatches.cancel(id);
    case "batch":
      return openAiBatches.batch(id);
    default:
      return null;
  }
}

function lookUpAnthropic({ anthropicBatches, world }: Shelves, { route, body, headers, key, base }: Asked): Wire {
  const id = route.id ?? "";
  switch (route.operation) {
    case "count_tokens":
      return (
        anthropicMessages.check({ max_tokens: 1, ...body }, headers) ?? {
          input_tokens: countPrompt(anthropicMessages.prompt(body, world.memory), world.tokensPerByte),
        }
      );
    case "batch_create":
      return anthropicBatches.create(body, key);
    case "batch_list":
      return anthropicBatches.list(base);
    case "batch_cancel":
      return anthropicBatches.cancel(id, base);
    case "batch_results":
      return anthropicBatches.results(id);
    case "batch":
      return anthropicBatches.batch(id, base);
    default:
      return null;
  }
}

function lookUpGemini({ geminiBatches }: Shelves, { route, body, key }: Asked): Wire {
  const id = route.id ?? "";
  switch (route.operation) {
    case "batch_create":
      return geminiBatches.create(id, body, key);
    case "batch_list":
      return geminiBatches.list();
    case "batch_cancel":
      return geminiBatches.cancel(id);
    case "batch":
      return geminiBatches.batch(id);
    default:
      return null;
  }
}
