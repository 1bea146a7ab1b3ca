// Every response that stays open: counted, kept alive, held to its buffer, and cut in a way that makes clients come back.
import { fail } from "../domain/errors.ts";
import type { ServerLimits, ServerLog } from "./options.ts";
import type { Ctx } from "./request.ts";

export interface StreamPlan {
  /** Whole frames; they are asked for only as fast as the client reads. Stops when `abort` fires. */
  readonly source: (abort: AbortSignal) => AsyncIterable<string>;
  readonly headers: Readonly<Record<string, string>>;
  /** Sent between frames while nothing else is. */
  readonly heartbeat: string;
  /** Called once if the client goes before the end; not when it is this server that goes. */
  readonly onDisconnect?: (() => Promise<unknown>) | undefined;
  /** It cannot be taken up again elsewhere: a server that goes lets it end, as it does with plain requests. Default false. */
  readonly finishes?: boolean | undefined;
}

/** The open streams of this process. */
export class Streams {
  readonly #limits: ServerLimits;
  readonly #log: ServerLog;
  readonly #open = new Set<OpenStream>();
  readonly #perTenant = new Map<string, number>();
  #closing = false;

  constructor(limits: ServerLimits, log: ServerLog) {
    this.#limits = limits;
    this.#log = log;
  }

  get closing(): boolean {
    return this.#closing;
  }

  get size(): number {
    return this.#open.size;
  }

  /** @throws STREAM_LIMIT */
  respond(c: Ctx, plan: StreamPlan): Response {
    if (c.req.method === "HEAD") return c.body(null, 200, { ...plan.headers });
    const { tenant, onEnd } = c.var.caller;
    const ofTenant = this.#perTenant.get(tenant) ?? 0;
    // How many streams others have open is theirs.
    if (ofTenant >= this.#limits.streamsPerTenantMax || this.#open.size >= this.#limits.streamsMax)
      throw fail("STREAM_LIMIT", { open: ofTenant });
    const stream = new OpenStream(c, plan, this.#limits, (reason, error) => {
      unwatch?.();
      this.#ended(stream, tenant, c, plan, reason, error);
    });
    const unwatch = onEnd?.(() => stream.cut("refused"));
    this.#open.add(stream);
    this.#perTenant.set(tenant, ofTenant + 1);
    return c.body(stream.body, 200, { ...plan.headers });
  }

  /** Breaks every stream off: a clean end would tell clients that there is no more to come. */
  closeAll(): void {
    this.#closing = true;
    for (const stream of this.#open) if (!stream.finishes) stream.cut("closing");
  }

  #ended(stream: OpenStream, tenant: string, c: Ctx, plan: StreamPlan, reason: EndReason, error: unknown): void {
    this.#open.delete(stream);
    const left = (this.#perTenant.get(tenant) ?? 1) - 1;
    if (left === 0) this.#perTenant.delete(tenant);
    else this.#perTenant.set(tenant, left);
    const where = { requestId: c.var.requestId, path: c.req.path };
    if (reason === "broken") this.#log.warn({ ...where, error: String(error) }, "stream broken off");
    if (reason === "gone" || reason === "stalled") {
      plan
        .onDisconnect?.()
        .catch((failed: unknown) => this.#log.warn({ ...where, error: String(failed) }, "cancel on disconnect failed"));
    }
  }
}

/**
 * `done`: all was sent. `gone`: the client left. `stalled`: it stopped reading. `broken`: the source failed. `refused`: its key has
 * ended.
 */
type EndReason = "done" | "gone" | "stalled" | "broken" | "closing" | "refused";

class OpenStream {
  readonly body: ReadableStream<Uint8Array>;
  readonly finishes: boolean;
  readonly #abort = new AbortController();
  readonly #encoder = new TextEncoder();
  readonly #frames: AsyncIterator<string>;
  readonly #timer: NodeJS.Timeout;
  readonly #onEnd: (reason: EndReason, error?: unknown) => void;
  readonly #breakSocket: () => boolean;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #ended = false;
  #roomSeen = 0;
  #stalledMs = 0;

  constructor(c: Ctx, plan: StreamPlan, limits: ServerLimits, onEnd: (reason: EndReason, error?: unknown) => void) {
    this.#onEnd = onEnd;
    this.finishes = plan.finishes === true;
    this.#frames = plan.source(this.#abort.signal)[Symbol.asyncIterator]();
    this.#breakSocket = () => c.env?.outgoing?.destroy() !== undefined;
    this.#timer = setInterval(() => this.#beat(plan.heartbeat, limits), limits.heartbeatMs);
    this.#timer.unref();
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#pull(),
        cancel: () => this.#end("gone"),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: limits.streamBufferBytesMax }),
    );
  }

  /** Ends without the closing chunk: the client sees a broken connection and reconnects. */
  cut(reason: EndReason, error?: unknown): void {
    if (this.#ended) return;
    this.#end(reason, error);
    // The stream itself may only fail where there is no socket to break: the adapter would write the error's text into it.
    if (!this.#breakSocket()) this.#controller?.error(new Error("stream broken off"));
  }

  async #pull(): Promise<void> {
    try {
      const { done, value } = await this.#frames.next();
      if (this.#ended) return;
      if (done === true) {
        this.#end("done");
        this.#controller?.close();
      } else {
        this.#controller?.enqueue(this.#encoder.encode(value));
      }
    } catch (error) {
      this.cut("broken", error);
    }
  }

  #beat(heartbeat: string, limits: ServerLimits): void {
    const room = this.#controller?.desiredSize ?? 0;
    if (room > 0) {
      this.#stalledMs = 0;
      this.#controller?.enqueue(this.#encoder.encode(heartbeat));
      return;
    }
    this.#stalledMs = room === this.#roomSeen ? this.#stalledMs + limits.heartbeatMs : 0;
    this.#roomSeen = room;
    if (this.#stalledMs >= limits.streamStallMs) this.cut("stalled");
  }

  #end(reason: EndReason, error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#timer);
    this.#abort.abort();
    if (reason !== "done") this.#release();
    this.#onEnd(reason, error);
  }

  /** Lets the source's `finally` run; a source that is waiting has been told by the abort signal. */
  #release(): void {
    Promise.resolve(this.#frames.return?.()).catch(() => undefined);
  }
}
