// Gemini's batches: requests in one body, answers in the operation that it makes. https://ai.google.dev/api/batch-api
import type { RemoteBatches, RemoteState } from "./roles.ts";
import { send } from "./send.ts";

interface Operation {
  /** `batches/…` */
  readonly name: string;
  readonly done?: boolean;
  readonly metadata?: { readonly displayName?: string };
  /** Neither this nor any answer when it failed or was cancelled. */
  readonly response?: { readonly inlinedResponses?: { readonly inlinedResponses?: readonly Inlined[] } };
}

interface Inlined {
  readonly metadata?: { readonly key?: string };
  readonly response?: unknown;
}

const PAGES_MAX = 10;

export const googleBatches: RemoteBatches = {
  /** It takes 20 MB in one body. */
  bytesMax: 16 * 1024 * 1024,

  async submit(address, batchId, path, items) {
    const requests = items.map(({ itemId, body }) => `{"request":${body},"metadata":{"key":"${itemId}"}}`);
    const input = `{"requests":{"requests":[${requests.join(",")}]}}`;
    const body = `{"batch":{"displayName":"${batchId}","inputConfig":${input}}}`;
    return (await send<Operation>(address, "POST", path.replace(/:generateContent$/, ":batchGenerateContent"), body))
      .name;
  },

  async find(address, batchId) {
    let after = "";
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const list = await send<{ operations?: Operation[]; nextPageToken?: string }>(
        address,
        "GET",
        `/batches?pageSize=100${after}`,
      );
      const found = list.operations?.find(({ metadata }) => metadata?.displayName === batchId);
      if (found !== undefined) return found.name;
      if (list.nextPageToken === undefined || list.nextPageToken === "") return null;
      after = `&pageToken=${encodeURIComponent(list.nextPageToken)}`;
    }
    return null;
  },

  async state(address, remoteId): Promise<RemoteState> {
    const { done = false, response } = await send<Operation>(address, "GET", `/${remoteId}`);
    if (!done) return { is: "open" };
    const results = new Map<string, string | null>();
    for (const { metadata, response: answer } of response?.inlinedResponses?.inlinedResponses ?? [])
      if (metadata?.key !== undefined) results.set(metadata.key, answer === undefined ? null : JSON.stringify(answer));
    return { is: "ended", results };
  },

  async cancel(address, remoteId) {
    await send(address, "POST", `/${remoteId}:cancel`, "{}");
  },
};
