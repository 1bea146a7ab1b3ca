// Anthropic's message batches, kept in memory.
import { anthropic } from "./anthropic-errors.ts";
import type { RunItem } from "./batch-runner.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Wire } from "./conversation.ts";
import type { Complaint } from "./dialect.ts";

interface StoredBatch {
  readonly object: Wire;
  readonly requests: readonly Wire[];
  readonly key: string;
  results: string | null;
}

const DAY_MS = 86_400_000;
const now = (): string => new Date().toISOString();

export class AnthropicBatches {
  readonly #batches = new Map<string, StoredBatch>();
  readonly #run: RunItem;
  readonly #behaviour: () => NonNullable<Behaviour["batches"]>;
  #count = 0;

  constructor(run: RunItem, behaviour: () => NonNullable<Behaviour["batches"]>) {
    this.#run = run;
    this.#behaviour = behaviour;
  }

  create(body: Wire, key: string): Wire | Complaint {
    const requests = body?.requests;
    if (!Array.isArray(requests) || requests.length === 0) return { status: 400, message: "requests: Field required" };
    const id = `msgbatch_fake_${++this.#count}`;
    const object: Wire = {
      id,
      type: "message_batch",
      processing_status: "in_progress",
      ended_at: null,
      created_at: now(),
      request_counts: { processing: requests.length, succeeded: 0, errored: 0, canceled: 0, expired: 0 },
      expires_at: new Date(Date.now() + DAY_MS).toISOString(),
      archived_at: null,
      cancel_initiated_at: null,
      results_url: null,
    };
    const batch: StoredBatch = { object, requests, key, results: null };
    this.#batches.set(id, batch);
    const { outcome = "completed", afterMs = 20 } = this.#behaviour();
    if (outcome !== "never") setTimeout(() => void this.#end(batch, outcome), afterMs);
    return object;
  }

  list(base: string): Wire {
    const data = [...this.#batches.keys()].reverse().map((id) => this.batch(id, base));
    return { data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  }

  /** `base` is where the client came in: the results are said to be there. */
  batch(id: string, base: string): Wire | null {
    const batch = this.#batches.get(id);
    if (batch === undefined) return null;
    const results_url = batch.results === null ? null : `${base}/v1/messages/batches/${id}/results`;
    return { ...batch.object, results_url };
  }

  cancel(id: string, base: string): Wire | null {
    const batch = this.#batches.get(id);
    if (batch === undefined) return null;
    if (batch.object.processing_status === "in_progress") {
      Object.assign(batch.object, { processing_status: "canceling", cancel_initiated_at: now() });
      setTimeout(
        () =>
          this.#finish(
            batch,
            batch.requests.map(({ custom_id }) => ({ custom_id, result: { type: "canceled" } })),
          ),
        10,
      );
    }
    return this.batch(id, base);
  }

  /** JSON lines; null while it is not over. */
  results(id: string): string | null {
    return this.#batches.get(id)?.results ?? null;
  }

  async #end(batch: StoredBatch, outcome: "completed" | "failed" | "expired"): Promise<void> {
    if (batch.object.processing_status !== "in_progress") return;
    const results: Wire[] = [];
    for (const { custom_id, params } of batch.requests) {
      results.push({ custom_id, result: await this.#item(params, batch, outcome) });
    }
    this.#finish(batch, results);
  }

  async #item(params: Wire, batch: StoredBatch, outcome: "completed" | "failed" | "expired"): Promise<Wire> {
    if (outcome === "expired") return { type: "expired" };
    const facts = { model: "", key: "", operation: null, number: 0, rates: null };
    if (outcome === "failed")
      return { type: "errored", error: anthropic.errorOf({ kind: "server_error" }, facts).body };
    const item = {
      operation: "messages" as const,
      path: "/v1/messages",
      body: params,
      key: batch.key,
      batch: batch.object.id,
    };
    const { status, body } = await this.#run(anthropic, item);
    return status === 200 ? { type: "succeeded", message: body } : { type: "errored", error: body };
  }

  #finish(batch: StoredBatch, results: readonly Wire[]): void {
    const count = (type: string): number => results.filter(({ result }) => result.type === type).length;
    batch.results = results.map((result) => `${JSON.stringify(result)}\n`).join("");
    Object.assign(batch.object, {
      processing_status: "ended",
      ended_at: now(),
      request_counts: {
        processing: 0,
        succeeded: count("succeeded"),
        errored: count("errored"),
        canceled: count("canceled"),
        expired: count("expired"),
      },
    });
  }
}
