// OpenAI's batches: a file of requests, a batch that names it, and files of answers. https://platform.openai.com/docs/guides/batch
import type { RemoteAddress, RemoteBatches, RemoteItem, RemoteState } from "./roles.ts";
import { readText, send } from "./send.ts";

interface Batch {
  readonly id: string;
  readonly status: string;
  readonly output_file_id: string | null;
  readonly metadata: Readonly<Record<string, string>> | null;
}

/** Our id among a batch's metadata. */
const MARK = "longhaul_batch";
const ENDED = new Set(["completed", "failed", "expired", "cancelled"]);
const PAGES_MAX = 10;

export const openAiBatches: RemoteBatches = {
  bytesMax: 64 * 1024 * 1024,

  async submit(address, batchId, path, items) {
    const file = await upload(address, batchId, path, items);
    const body = {
      input_file_id: file,
      endpoint: endpointOf(path),
      completion_window: "24h",
      metadata: { [MARK]: batchId },
    };
    return (await send<Batch>(address, "POST", "/batches", JSON.stringify(body))).id;
  },

  async find(address, batchId) {
    let after = "";
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const list = await send<{ data: Batch[]; has_more?: boolean }>(address, "GET", `/batches?limit=100${after}`);
      const found = list.data.find(({ metadata }) => metadata?.[MARK] === batchId);
      if (found !== undefined) return found.id;
      const last = list.data.at(-1);
      if (list.has_more !== true || last === undefined) return null;
      after = `&after=${encodeURIComponent(last.id)}`;
    }
    return null;
  },

  async state(address, remoteId): Promise<RemoteState> {
    const batch = await send<Batch>(address, "GET", `/batches/${encodeURIComponent(remoteId)}`);
    if (!ENDED.has(batch.status)) return { is: "open" };
    const results = new Map<string, string | null>();
    if (batch.output_file_id === null) return { is: "ended", results };
    const content = await readText(address, `/files/${encodeURIComponent(batch.output_file_id)}/content`);
    for (const line of content.split("\n")) {
      if (line.trim() === "") continue;
      const { custom_id, response } = JSON.parse(line) as {
        custom_id: string;
        response: { status_code: number; body: unknown } | null;
      };
      results.set(custom_id, response?.status_code === 200 ? JSON.stringify(response.body) : null);
    }
    return { is: "ended", results };
  },

  async cancel(address, remoteId) {
    await send(address, "POST", `/batches/${encodeURIComponent(remoteId)}/cancel`, "{}");
  },
};

async function upload(
  address: RemoteAddress,
  batchId: string,
  path: string,
  items: readonly RemoteItem[],
): Promise<string> {
  const url = JSON.stringify(endpointOf(path));
  const lines = items.map(
    ({ itemId, body }) => `{"custom_id":"${itemId}","method":"POST","url":${url},"body":${body}}\n`,
  );
  const form = new FormData();
  form.set("purpose", "batch");
  form.set("file", new Blob([lines.join("")], { type: "application/jsonl" }), `longhaul-${batchId}.jsonl`);
  return (await send<{ id: string }>(address, "POST", "/files", form)).id;
}

/** Requests in a batch are named from the root of the API. */
function endpointOf(path: string): string {
  return `/v1${path}`;
}
