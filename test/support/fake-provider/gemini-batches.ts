// Gemini's batches of inline requests, kept in memory: each is an operation.
import type { RunItem } from "./batch-runner.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Wire } from "./conversation.ts";
import type { Complaint } from "./dialect.ts";
import { google } from "./gemini-errors.ts";

interface StoredBatch {
  readonly operation: Wire;
  readonly model: string;
  readonly requests: readonly Wire[];
  readonly key: string;
}

const BATCH_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch";
const now = (): string => new Date().toISOString();

export class GeminiBatches {
  readonly #batches = new Map<string, StoredBatch>();
  readonly #run: RunItem;
  readonly #behaviour: () => NonNullable<Behaviour["batches"]>;
  #count = 0;

  constructor(run: RunItem, behaviour: () => NonNullable<Behaviour["batches"]>) {
    this.#run = run;
    this.#behaviour = behaviour;
  }

  create(model: string, body: Wire, key: string): Wire | Complaint {
    const requests = body?.batch?.inputConfig?.requests?.requests;
    if (!Array.isArray(requests) || requests.length === 0)
      return { status: 400, message: "batch.input_config: must have requests" };
    if (typeof body.batch.displayName !== "string")
      return { status: 400, message: "batch.display_name: must not be empty" };
    const id = `fake${++this.#count}`;
    const metadata = {
      "@type": BATCH_TYPE,
      model: `models/${model}`,
      displayName: body.batch.displayName,
      createTime: now(),
      state: "BATCH_STATE_PENDING",
      name: `batches/${id}`,
    };
    const batch = { operation: { name: `batches/${id}`, metadata }, model, requests, key };
    this.#batches.set(id, batch);
    const { outcome = "completed", afterMs = 20 } = this.#behaviour();
    if (outcome !== "never") setTimeout(() => void this.#end(batch, outcome), afterMs);
    return { ...batch.operation };
  }

  list(): Wire {
    return { operations: [...this.#batches.values()].map(({ operation }) => operation).reverse() };
  }

  batch(id: string): Wire | null {
    return this.#batches.get(id)?.operation ?? null;
  }

  cancel(id: string): Wire | null {
    const batch = this.#batches.get(id);
    if (batch === undefined) return null;
    if (batch.operation.done !== true) this.#close(batch, "BATCH_STATE_CANCELLED", { code: 1, message: "Cancelled" });
    return {};
  }

  async #end(batch: StoredBatch, outcome: "completed" | "failed" | "expired"): Promise<void> {
    if (batch.operation.done === true) return;
    if (outcome !== "completed") {
      const state = outcome === "failed" ? "BATCH_STATE_FAILED" : "BATCH_STATE_EXPIRED";
      this.#close(batch, state, { code: 13, message: `The batch has ${outcome}.` });
      return;
    }
    const responses: Wire[] = [];
    for (const { request, metadata } of batch.requests)
      responses.push({ ...(await this.#item(batch, request)), metadata });
    Object.assign(batch.operation.metadata, { state: "BATCH_STATE_SUCCEEDED", endTime: now() });
    const response = { inlinedResponses: { inlinedResponses: responses } };
    Object.assign(batch.operation, { done: true, response });
  }

  async #item({ model, key, operation }: StoredBatch, body: Wire): Promise<Wire> {
    const path = `/v1beta/models/${model}:generateContent`;
    const item = { operation: "generate" as const, path, body, key, batch: String(operation.name), model };
    const result = await this.#run(google, item);
    return result.status === 200 ? { response: result.body } : { error: result.body.error };
  }

  #close({ operation }: StoredBatch, state: string, error: Wire): void {
    Object.assign(operation.metadata, { state, endTime: now() });
    Object.assign(operation, { done: true, error });
  }
}
