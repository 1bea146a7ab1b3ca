// Anthropic's message batches: requests in one body, answers as lines. https://docs.anthropic.com/en/docs/build-with-claude/batch-processing
import type { RemoteAddress, RemoteBatches, RemoteState } from "./roles.ts";
import { readText, send } from "./send.ts";

interface Batch {
  readonly id: string;
  readonly processing_status: "in_progress" | "canceling" | "ended";
  readonly created_at: string;
  readonly request_counts: Readonly<Record<string, number>>;
  readonly results_url: string | null;
}

interface Line {
  readonly custom_id: string;
  readonly result: { readonly type: string; readonly message?: unknown };
}

const BATCHES = "/messages/batches";
const PAGES_MAX = 10;
/** By how much its clock may be behind ours. */
const SKEW_MS = 60_000;

export const anthropicBatches: RemoteBatches = {
  bytesMax: 64 * 1024 * 1024,

  async submit(address, _batchId, _path, items) {
    const requests = items.map(({ itemId, body }) => `{"custom_id":"${itemId}","params":${body}}`);
    return (await send<Batch>(address, "POST", BATCHES, `{"requests":[${requests.join(",")}]}`)).id;
  },

  /**
   * Its batches carry no name of ours. One that has ended is known by the ids of its items; of one that has not, no more can be asked than when
   * it was made and how many items it has: ours, and those that nobody waits for any more. If that was another, it answers none of ours, and they
   * are asked live.
   */
  async find(address, batchId, itemIds) {
    const sinceMs = madeAtMs(batchId) - SKEW_MS;
    let likely: string | null = null;
    for await (const batch of newestFirst(address)) {
      if (Date.parse(batch.created_at) < sinceMs) break;
      const count = Object.values(batch.request_counts).reduce((sum, one) => sum + one, 0);
      if (count < itemIds.length) continue;
      if (batch.processing_status !== "ended") likely ??= batch.id;
      else if ((await results(address, batch)).has(itemIds[0] ?? "")) return batch.id;
    }
    return likely;
  },

  async state(address, remoteId): Promise<RemoteState> {
    const batch = await send<Batch>(address, "GET", `${BATCHES}/${encodeURIComponent(remoteId)}`);
    return batch.processing_status === "ended"
      ? { is: "ended", results: await results(address, batch) }
      : { is: "open" };
  },

  async cancel(address, remoteId) {
    await send(address, "POST", `${BATCHES}/${encodeURIComponent(remoteId)}/cancel`, "{}");
  },
};

async function* newestFirst(address: RemoteAddress): AsyncGenerator<Batch> {
  let after = "";
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const list = await send<{ data: Batch[]; has_more: boolean; last_id: string | null }>(
      address,
      "GET",
      `${BATCHES}?limit=100${after}`,
    );
    yield* list.data;
    if (!list.has_more || list.last_id === null) return;
    after = `&after_id=${encodeURIComponent(list.last_id)}`;
  }
}

async function results(address: RemoteAddress, { id, results_url }: Batch): Promise<Map<string, string | null>> {
  const answers = new Map<string, string | null>();
  // Archived after a month: then it has answered nobody.
  if (results_url === null) return answers;
  const lines = await readText(address, `${BATCHES}/${encodeURIComponent(id)}/results`);
  for (const line of lines.split("\n")) {
    if (line.trim() === "") continue;
    const { custom_id, result } = JSON.parse(line) as Line;
    answers.set(custom_id, result.type === "succeeded" ? JSON.stringify(result.message) : null);
  }
  return answers;
}

/** Our ids begin with the time at which they were made (UUIDv7, RFC 9562). */
function madeAtMs(batchId: string): number {
  return Number.parseInt(batchId.replaceAll("-", "").slice(0, 12), 16);
}
