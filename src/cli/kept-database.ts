// The embedded database of an installation, kept alive: when its process dies it is started again, at the same address.
import { setTimeout as delay } from "node:timers/promises";
import { type EmbeddedOptions, type EmbeddedPostgres, startEmbedded } from "../embedded/index.ts";
import type { Logger } from "../engine/worker-options.ts";

const LOOK_MS = 1_000;

export class KeptDatabase {
  readonly url: string;
  readonly #options: EmbeddedOptions;
  readonly #log: Logger;
  readonly #stopped = new AbortController();
  readonly #watching: Promise<void>;
  #server: EmbeddedPostgres;

  private constructor(server: EmbeddedPostgres, options: EmbeddedOptions, log: Logger) {
    this.url = server.url;
    this.#server = server;
    this.#options = options;
    this.#log = log;
    this.#watching = this.#watch();
  }

  /** Starts it. @throws DATA_DIR_IN_USE, DATA_DIR_UNUSABLE, EMBEDDED_UNSUPPORTED, EMBEDDED_FAILED */
  static async start(options: EmbeddedOptions, log: Logger): Promise<KeptDatabase> {
    return new KeptDatabase(await startEmbedded(options), options, log);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#watching;
    await this.#server.stop();
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted && !this.#server.running()) await this.#startAgain();
    }
  }

  async #startAgain(): Promise<void> {
    this.#log("warn", "PostgreSQL has ended and is started again", { serverPid: this.#server.pid });
    try {
      // It is ours: nobody else may be asked to share it.
      const server = await startEmbedded({ ...this.#options, ifRunning: "adopt" });
      if (server.url === this.url) this.#server = server;
      else {
        // Everybody connects to the old address.
        await server.stop();
        this.#log("error", "PostgreSQL cannot be started again: another program has taken its port", {
          port: server.port,
        });
      }
    } catch (error) {
      this.#log("error", "PostgreSQL cannot be started again now", { error });
    }
  }
}
