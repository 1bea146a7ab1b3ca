// One request to a provider's batches.
import type { RemoteAddress } from "./roles.ts";

const TIMEOUT_MS = 60_000;

/** JSON where the answer is JSON, else its text. @throws for every status but a success */
export async function send<T>(
  { baseUrl, headers }: RemoteAddress,
  method: "GET" | "POST",
  path: string,
  body?: string | FormData,
): Promise<T> {
  const type = typeof body === "string" ? { "content-type": "application/json" } : {};
  const response = await fetch(baseUrl + path, {
    method,
    headers: { ...headers, ...type },
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} was answered with ${response.status}: ${text.slice(0, 500)}`);
  const isJson = response.headers.get("content-type")?.includes("json") === true && !path.endsWith("/content");
  return (isJson ? JSON.parse(text) : text) as T;
}
