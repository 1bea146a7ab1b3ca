// One request to a provider's batches.
import type { RemoteAddress } from "./roles.ts";

const TIMEOUT_MS = 60_000;

/** The JSON of the answer. @throws for every status but a success, and for what is no JSON */
export async function send<T>(
  address: RemoteAddress,
  method: "GET" | "POST",
  path: string,
  body?: string | FormData,
): Promise<T> {
  return JSON.parse(await exchange(address, method, path, body)) as T;
}

/** A file of answers. @throws for every status but a success */
export function readText(address: RemoteAddress, path: string): Promise<string> {
  return exchange(address, "GET", path);
}

async function exchange(
  { baseUrl, headers }: RemoteAddress,
  method: "GET" | "POST",
  path: string,
  body?: string | FormData,
): Promise<string> {
  const type = typeof body === "string" ? { "content-type": "application/json" } : {};
  const response = await fetch(baseUrl + path, {
    method,
    headers: { ...headers, ...type },
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} was answered with ${response.status}: ${text.slice(0, 500)}`);
  return text;
}
