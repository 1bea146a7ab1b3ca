// OpenAI's files and batches, kept in memory.

import type { RunItem } from "./batch-runner.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Wire } from "./conversation.ts";
import type { Complaint } from "./dialect.ts";
import { isModelCall } from "./model-call.ts";
import { openAi } from "./openai-errors.ts";
import { routeOf } from "./routes.ts";

interface StoredFile {
  readonly object: Wire;
  readonly content: string;
}

interface StoredBatch {
  readonly object: Wire;
  readonly key: string;
}

const DAY_S = 86_400;
const nowS = (): number => Math.floor(Date.now() / 1000);

export class OpenAiBatches {
  readonly #files = new Map<string, StoredFile>();
  readonly #batches = new Map<string, StoredBatch>();
  readonly #run: RunItem;
  readonly #behaviour: () => NonNullable<Behaviour["batches"]>;
  #count = 0;

  constructor(run: RunItem, behaviour: () => NonNullable<Behaviour["batches"]>) {
    this.#run = run;
    this.#behaviour = behaviour;
  }

  async upload(bytes: Uint8Array, contentType: string): Promise<Wire | Complaint> {
    const form = await new Response(bytes, { headers: { "content-type": contentType } }).formData().catch(() => null);
    const file = form?.get("file");
    if (form === null || form === undefined || !(file instanceof Blob)) {
      return { status: 400, message: "Missing required parameter: 'file'.", param: "file" };
    }
    const name = "name" in file ? String(file.name) : "file.jsonl";
    return this.#store(await file.text(), name, String(form.get("purpose") ?? "batch"));
  }

  files(): Wire {
    return { object: "list", data: [...this.#files.values()].map((file) => file.object), has_more: false };
  }

  file(id: string): Wire | null {
    return this.#files.get(id)?.object ?? null;
  }

  content(id: string): string | null {
    return this.#files.get(id)?.content ?? null;
  }

  delete(id: string): Wire | null {
    return this.#files.delete(id) ? { id, object: "file", deleted: true } : null;
  }

  create(body: Wire, key: string): Wire | Complaint {
    const input = this.#files.get(body?.input_file_id);
    if (input === undefined)
      return { status: 400, message: `Invalid file id: ${body?.input_file_id}`, param: "input_file_id" };
    const id = `batch_fake_${++this.#count}`;
    const created_at = nowS();
    const object: Wire = {
      id,
      object: "batch",
      endpoint: body.endpoint,
      errors: null,
      input_file_id: body.input_file_id,
      completion_window: body.completion_window ?? "24h",
      status: "validating",
      output_file_id: null,
      error_file_id: null,
      created_at,
      in_progress_at: null,
      expires_at: created_at + DAY_S,
      finalizing_at: null,
      completed_at: null,
      failed_at: null,
      expired_at: null,
      cancelling_at: null,
      cancelled_at: null,
      request_counts: { total: 0, completed: 0, failed: 0 },
      metadata: body.metadata ?? null,
    };
    const batch = { object, key };
    this.#batches.set(id, batch);
    const { outcome = "completed", afterMs = 20 } = this.#behaviour();
    if (outcome !== "never") setTimeout(() => void this.#end(batch, input.content, outcome), afterMs);
    return { ...object };
  }

  list(): Wire {
    return { object: "list", data: [...this.#batches.values()].map((batch) => batch.object), has_more: false };
  }

  batch(id: string): Wire | null {
    const batch = this.#batches.get(id)?.object ?? null;
    if (batch?.status === "validating") Object.assign(batch, { status: "in_progress", in_progress_at: nowS() });
    return batch;
  }

  cancel(id: string): Wire | null {
    const batch = this.#batches.get(id)?.object;
    if (batch === undefined) return null;
    if (batch.status === "validating" || batch.status === "in_progress") {
      Object.assign(batch, { status: "cancelling", cancelling_at: nowS() });
      setTimeout(() => Object.assign(batch, { status: "cancelled", cancelled_at: nowS() }), 10);
    }
    return batch;
  }

  async #end(
    { object, key }: StoredBatch,
    content: string,
    outcome: "completed" | "failed" | "expired",
  ): Promise<void> {
    if (object.status === "cancelling" || object.status === "cancelled") return;
    const lines = content.split("\n").filter((line) => line.trim() !== "");
    if (outcome === "failed") {
      const error = {
        code: "invalid_json_line",
        message: "This line is not parseable as valid JSON.",
        param: null,
        line: 1,
      };
      Object.assign(object, { status: "failed", failed_at: nowS(), errors: { object: "list", data: [error] } });
      return;
    }
    const done: string[] = [];
    const failed: string[] = [];
    for (const line of lines) {
      const { custom_id, result } = await this.#item(line, object.id, key, outcome === "expired");
      const response =
        result.status === 0 ? null : { status_code: result.status, request_id: `req_${custom_id}`, body: result.body };
      const error = response === null ? result.body : null;
      const written = JSON.stringify({ id: `batch_req_${custom_id}`, custom_id, response, error });
      (result.status === 200 ? done : failed).push(written);
    }
    Object.assign(object, {
      status: outcome,
      in_progress_at: object.in_progress_at ?? nowS(),
      finalizing_at: nowS(),
      [outcome === "completed" ? "completed_at" : "expired_at"]: nowS(),
      request_counts: { total: lines.length, completed: done.length, failed: failed.length },
      output_file_id: done.length > 0 ? this.#store(`${done.join("\n")}\n`, "output.jsonl", "batch_output").id : null,
      error_file_id:
        failed.length > 0 ? this.#store(`${failed.join("\n")}\n`, "errors.jsonl", "batch_output").id : null,
    });
  }

  async #item(line: string, batch: string, key: string, expired: boolean) {
    const { custom_id, method, url, body } = JSON.parse(line);
    const expiry = {
      code: "batch_expired",
      message: "This request could not be executed before the completion window expired.",
    };
    if (expired) return { custom_id, result: { status: 0, body: expiry } };
    const route = routeOf(method ?? "POST", url);
    if (route.operation === null || !isModelCall(route)) {
      return {
        custom_id,
        result: { status: 404, body: openAi.complain({ status: 404, message: `Invalid URL (${url})` }).body },
      };
    }
    const { operation } = route;
    return { custom_id, result: await this.#run(openAi, { operation, path: url, body, key, batch }) };
  }

  #store(content: string, filename: string, purpose: string): Wire {
    const id = `file-fake-${++this.#count}`;
    const bytes = Buffer.byteLength(content);
    const object = {
      id,
      object: "file",
      bytes,
      created_at: nowS(),
      filename,
      purpose,
      status: "processed",
      expires_at: null,
    };
    this.#files.set(id, { object, content });
    return object;
  }
}
