// A proxy before PostgreSQL that knows where a request begins and where its answer ends, and lets somebody decide at both.
import { connect, createServer, type Server, type Socket } from "node:net";
import { AnswerReader, type Request, RequestReader } from "./protocol.ts";

/** One request and its answer. */
export interface Exchange {
  readonly label: string;
  /** `application_name` of the connection. */
  readonly application: string;
}

/** `pass` it on; `drop` it and say nothing; `cut` the connection. */
export type Decision = "pass" | "drop" | "cut";

export interface Decider {
  /** The whole request is here; the server has seen nothing of it. */
  onRequest(exchange: Exchange): Decision | Promise<Decision>;
  /** The server has answered in full; the client has seen nothing of it. */
  onAnswer(exchange: Exchange): Decision | Promise<Decision>;
}

const PASS: Decider = { onRequest: () => "pass", onAnswer: () => "pass" };

export class DatabaseProxy {
  readonly url: string;
  decider: Decider = PASS;
  /** While true, new connections are refused. */
  down = false;
  readonly #server: Server;
  readonly #links = new Set<Link>();

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  /** Listens before the server of this URL. */
  static async start(serverUrl: string): Promise<DatabaseProxy> {
    const target = new URL(serverUrl);
    const port = Number(target.port);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error("no address");
    target.hostname = "127.0.0.1";
    target.port = String(address.port);
    const proxy = new DatabaseProxy(server, target.toString());
    server.on("connection", (client) => {
      if (proxy.down) client.destroy();
      else proxy.#join(client, connect({ host: "127.0.0.1", port }));
    });
    return proxy;
  }

  /** Cuts every connection at once. */
  cutAll(): void {
    for (const link of [...this.#links]) link.cut();
  }

  async close(): Promise<void> {
    this.cutAll();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #join(client: Socket, upstream: Socket): void {
    const link = new Link(client, upstream, () => this.decider);
    this.#links.add(link);
    client.once("close", () => this.#links.delete(link));
  }
}

/** One connection: requests and answers pass in order, each after its decision. */
class Link {
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #decider: () => Decider;
  readonly #requests = new RequestReader();
  readonly #answers = new AnswerReader();
  /** Sent to the server and not yet answered, oldest first. */
  readonly #open: { readonly exchange: Exchange; readonly parts: Buffer[] }[] = [];
  #starting = true;
  #sending: Promise<void> = Promise.resolve();
  #answering: Promise<void> = Promise.resolve();

  constructor(client: Socket, upstream: Socket, decider: () => Decider) {
    this.#client = client;
    this.#upstream = upstream;
    this.#decider = decider;
    client.setNoDelay(true);
    upstream.setNoDelay(true);
    client.on("error", () => undefined);
    upstream.on("error", () => undefined);
    client.on("data", (bytes: Buffer) => {
      for (const request of this.#requests.push(bytes)) this.#sending = this.#sending.then(() => this.#send(request));
    });
    upstream.on("data", (bytes: Buffer) => {
      for (const message of this.#answers.push(bytes)) {
        this.#answering = this.#answering.then(() => this.#answer(message));
      }
    });
    client.once("close", () => upstream.destroy());
    upstream.once("close", () => void this.#answering.then(() => client.destroy()));
  }

  cut(): void {
    this.#client.destroy();
    this.#upstream.destroy();
  }

  async #send(request: Request): Promise<void> {
    if (request.kind === "query") {
      const application = this.#requests.parameters.get("application_name") ?? "";
      const exchange: Exchange = { label: request.label, application };
      if (!this.#obey(await this.#decider().onRequest(exchange))) return;
      this.#open.push({ exchange, parts: [] });
    }
    this.#upstream.write(request.bytes);
  }

  async #answer({ bytes, ready }: { readonly bytes: Buffer; readonly ready: boolean }): Promise<void> {
    const current = this.#starting ? undefined : this.#open[0];
    if (current === undefined) {
      // The start of the session, and what the server says unasked.
      this.#client.write(bytes);
      if (ready) this.#starting = false;
      return;
    }
    current.parts.push(bytes);
    if (!ready) return;
    this.#open.shift();
    if (this.#obey(await this.#decider().onAnswer(current.exchange))) this.#client.write(Buffer.concat(current.parts));
  }

  #obey(decision: Decision): boolean {
    if (decision === "cut") this.cut();
    return decision === "pass";
  }
}
