// A connection pooler in transaction mode, as strict as a plain PgBouncer: it speaks the PostgreSQL protocol over TCP, refuses
// start-up parameters that it does not track, and after each transaction the client meets a server session without its state.
import { connect, createServer, type Server, type Socket } from "node:net";

export interface Pooler {
  readonly url: string;
  close(): Promise<void>;
}

const TRACKED = new Set(["user", "database", "client_encoding", "application_name", "datestyle", "timezone"]);
const READY_FOR_QUERY = "Z".charCodeAt(0);
const IDLE = "I".charCodeAt(0);

/** Listens before the server of this URL. */
export async function startPooler(serverUrl: string): Promise<Pooler> {
  const target = new URL(serverUrl);
  const serverPort = Number(target.port);
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    sockets.add(client);
    client.once("close", () => sockets.delete(client));
    client.on("error", () => undefined);
    client.once("data", (startup: Buffer) => {
      const refused = startupParameters(startup).find((name) => !TRACKED.has(name));
      if (refused === undefined) join(client, startup, serverPort);
      else client.end(errorResponse("08P01", `unsupported startup parameter: ${refused}`));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no address");
  target.port = String(address.port);
  return {
    url: target.toString(),
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Passes bytes both ways; whenever a transaction has ended, empties the session before the client's next word. */
function join(client: Socket, startup: Buffer, port: number): void {
  const upstream = connect({ host: "127.0.0.1", port });
  let discarding = false;
  let held: Buffer[] = [];
  let rest: Buffer = Buffer.alloc(0);
  client.on("data", (bytes: Buffer) => {
    if (discarding) held.push(bytes);
    else upstream.write(bytes);
  });
  upstream.on("data", (bytes: Buffer) => {
    rest = Buffer.concat([rest, bytes]);
    for (let message = nextMessage(rest); message !== undefined; message = nextMessage(rest)) {
      rest = rest.subarray(message.length);
      const isReady = message[0] === READY_FOR_QUERY;
      if (discarding) {
        if (!isReady) continue;
        discarding = false;
        for (const bytes of held) upstream.write(bytes);
        held = [];
        continue;
      }
      client.write(message);
      if (isReady && message[5] === IDLE) {
        discarding = true;
        upstream.write(simpleQuery("discard all"));
      }
    }
  });
  upstream.on("error", () => client.destroy());
  upstream.once("close", () => client.destroy());
  client.once("close", () => upstream.destroy());
  upstream.write(startup);
}

/** The first whole message: a type byte, a length that counts itself, the body. */
function nextMessage(bytes: Buffer): Buffer | undefined {
  if (bytes.length < 5) return undefined;
  const length = 1 + bytes.readInt32BE(1);
  return bytes.length < length ? undefined : bytes.subarray(0, length);
}

/** Names of the parameters in a start-up packet: length, protocol, then names and values, each ended by a zero byte. */
function startupParameters(packet: Buffer): string[] {
  const texts = packet.subarray(8, packet.readInt32BE(0)).toString("utf8").split("\0");
  return texts.filter((text, index) => index % 2 === 0 && text !== "");
}

function simpleQuery(sql: string): Buffer {
  return message("Q", `${sql}\0`);
}

function errorResponse(code: string, text: string): Buffer {
  return message("E", `SFATAL\0VFATAL\0C${code}\0M${text}\0\0`);
}

function message(type: string, body: string): Buffer {
  const header = Buffer.alloc(5, type);
  header.writeInt32BE(4 + Buffer.byteLength(body), 1);
  return Buffer.concat([header, Buffer.from(body)]);
}
