// Who stands between the client and the provider: nobody, we, and Portkey's gateway.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, VERSION } from "../../src/index.ts";
import type { Lab } from "../lab/lab.ts";
import { freePort, listens } from "../lab/port.ts";
import { until } from "../lab/until.ts";
import { ServerProcess } from "./server-process.ts";

export interface Between {
  readonly name: string;
  /** What it does for each call. */
  readonly does: string;
  readonly url: string;
  readonly model: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of its database, where it has one. */
  readonly databaseUrl: string | null;
  pause(): void;
  resume(): void;
  close(): Promise<void>;
}

const TENANT = "bench";
const MODEL = "gpt-5-mini";
const PROVIDER_KEY = "sk-bench";
/** Nobody waits and nobody is refused, and yet every call is counted against each of them. */
const LIMITS = { "*": { rpm: 10_000_000, tpm: 10_000_000_000 }, "gpt-5*": { rpm: 10_000_000, tpm: 10_000_000_000 } };
const PLANS = { bench: { budget: { usd: 100_000, per: "month" as const } } };

export function nobody(upstream: string): Between {
  const nothing = (): void => undefined;
  return {
    name: "direct",
    does: "nothing between client and provider",
    url: upstream,
    model: MODEL,
    databaseUrl: null,
    headers: { authorization: `Bearer ${PROVIDER_KEY}` },
    pause: nothing,
    resume: nothing,
    close: async () => undefined,
  };
}

/** `longhaul server`, with an embedded PostgreSQL, a key, four limits and its tenant's budget. */
export async function longhaul(lab: Lab, upstream: string): Promise<Between> {
  const database = await lab.database();
  const token = await tenantKey(database.url);
  const folder = mkdtempSync(join(tmpdir(), "longhaul-bench-gateway-"));
  const openai = { apiKey: PROVIDER_KEY, baseUrl: upstream, limits: LIMITS };
  const config = { server: { auth: "keys" }, plans: PLANS, gateway: { providers: { openai } } };
  writeFileSync(join(folder, "longhaul.config.mjs"), `export default ${JSON.stringify(config)};\n`);
  const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
  const loader = new URL("../lab/typescript.mjs", import.meta.url).href;
  const args = ["--import", loader, main, "server", "--port", "0", "--json"];
  const server = new ServerProcess("Longhaul", args, { DATABASE_URL: database.url }, folder);
  const url = await server.line(readyUrl);
  return {
    name: `Longhaul ${VERSION}`,
    does: "an API key, four limits, a tenant's budget in dollars, every call on the disk before it goes out (fsync), its cost afterwards",
    url: `${url}/v1`,
    model: `openai/${MODEL}`,
    headers: { authorization: `Bearer ${token}` },
    databaseUrl: database.url,
    pause: () => server.pause(),
    resume: () => server.resume(),
    close: async () => {
      await server.close();
      await database.drop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function tenantKey(url: string): Promise<string> {
  const here = await connect({ url, worker: false, plans: PLANS });
  await here.tenants.setPlan(TENANT, "bench");
  const { token } = await here.keys.create({ tenant: TENANT });
  await here.close();
  return token;
}

function readyUrl(text: string): string | null {
  const news = JSON.parse(text) as { readonly event?: string; readonly url?: string };
  return news.event === "ready" ? (news.url ?? null) : null;
}

/**
 * The open-source gateway as its package starts it: it has no limits, no budgets and no record of its own. With newer versions of its
 * HTTP adapter than bench/peers pins it answers every stream with an error.
 */
export async function portkey(upstream: string): Promise<Between> {
  const home = fileURLToPath(new URL("../peers/node_modules/@portkey-ai/gateway/", import.meta.url));
  const { version } = JSON.parse(readFileSync(join(home, "package.json"), "utf8")) as { version: string };
  const port = await freePort();
  const args = [join(home, "build/start-server.js"), `--port=${port}`, "--headless"];
  const server = new ServerProcess("Portkey", args, { NODE_ENV: "production" });
  server.drain();
  await until("Portkey", 30_000, async () => {
    if (server.hasEnded) throw server.ended();
    return listens(port);
  });
  return {
    name: `Portkey ${version}`,
    does: "passes calls on; no limits, no budget, nothing written down (its open-source server keeps none)",
    url: `http://127.0.0.1:${port}/v1`,
    model: MODEL,
    headers: {
      authorization: `Bearer ${PROVIDER_KEY}`,
      "x-portkey-provider": "openai",
      "x-portkey-custom-host": upstream,
    },
    databaseUrl: null,
    pause: () => server.pause(),
    resume: () => server.resume(),
    close: () => server.close(),
  };
}
