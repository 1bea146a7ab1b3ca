// Requests and connections as no well-behaved client has them: headers of any kind, and a way to the database that can be cut.
import { request as httpRequest, type OutgoingHttpHeaders } from "node:http";
import { type AddressInfo, connect as connectSocket, createServer as createTcpServer, type Socket } from "node:net";

/** A request with headers that fetch does not let one set. */
export function raw(
  port: number,
  path: string,
  headers: OutgoingHttpHeaders,
  method = "GET",
): Promise<{ status: number; body: string; headers: Record<string, unknown> }> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: "127.0.0.1", port, path, method, headers }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
    });
    request.on("error", reject);
    request.end();
  });
}

/** A way to the database that can be cut. */
export async function databaseProxy(url: string) {
  const target = new URL(url);
  const [port, hostname] = [Number(target.port), target.hostname];
  const open = new Set<Socket>();
  let whole = true;
  const proxy = createTcpServer((near) => {
    if (!whole) return void near.destroy();
    const far = connectSocket(port, hostname);
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  target.port = String((proxy.address() as AddressInfo).port);
  target.hostname = "127.0.0.1";
  const drop = (): void => {
    for (const socket of open) socket.destroy();
  };
  return {
    url: target.toString(),
    cut: () => {
      whole = false;
      drop();
    },
    mend: () => {
      whole = true;
    },
    close: () =>
      new Promise<void>((resolve) => {
        proxy.close(() => resolve());
        drop();
      }),
  };
}
