// Runs the items of a provider's batch through the same fake model as any call, and lets time pass until a batch is over.
import type { Wire } from "./conversation.ts";
import { joined } from "./deliver.ts";
import type { ProtocolDialect } from "./dialect.ts";
import { nowMs, performCall, type World } from "./model-call.ts";
import type { Operation } from "./request.ts";
import type { Witness } from "./witness.ts";

export interface BatchItem {
  readonly operation: Operation;
  readonly path: string;
  readonly body: Wire;
  readonly key: string;
  readonly batch: string;
  /** For protocols that say it in the path. */
  readonly model?: string;
}

export interface ItemResult {
  readonly status: number;
  readonly body: Wire;
}

export type RunItem = (protocol: ProtocolDialect, item: BatchItem) => Promise<ItemResult>;

/** Whatever breaks or damages a connection is an error of the server here. */
export function itemRunner(
  world: World,
  witness: Witness,
  fingerprintOf: (path: string, body: string) => string,
): RunItem {
  return async (protocol, { operation, path, body, key, batch, model = null }) => {
    const text = JSON.stringify(body);
    const fingerprint = fingerprintOf(path, text);
    const witnessed = witness.arrive({
      method: "POST",
      path,
      protocol: protocol.protocol,
      operation,
      headers: {},
      startedAtMs: nowMs(),
      endedAtMs: null,
      outcome: "open",
      status: null,
      model: null,
      stream: false,
      body,
      fingerprint,
      batch,
      arrival: 0,
      fault: null,
      usage: null,
      text: null,
      toolCalls: [],
    });
    witnessed.arrival = witness.countArrival(fingerprint);
    const { delivery } = await performCall(world, {
      route: { protocol: protocol.protocol, operation, id: model, streamed: false },
      protocol,
      body: { ...body, stream: false },
      key,
      headers: { "anthropic-version": "batch" },
      witnessed,
      arrivedMs: performance.now(),
      limited: false,
      sse: false,
    });
    const result = resultOf(protocol, delivery.ending === "end" ? delivery.status : 500, joined(delivery.pieces));
    witnessed.status = result.status;
    witness.end(witnessed, result.status < 400 ? "answered" : "refused", nowMs());
    return result;
  };
}

function resultOf(protocol: ProtocolDialect, status: number, whole: string | Uint8Array): ItemResult {
  try {
    return { status, body: JSON.parse(Buffer.from(whole as string).toString()) };
  } catch {
    const facts = { model: "", key: "", operation: null, number: 0, rates: null };
    return { status: 500, body: protocol.errorOf({ kind: "server_error" }, facts).body };
  }
}
