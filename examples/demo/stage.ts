// What both scenes play on: a database of the demo's own, a server, the index, two workers; and how all of it goes away again.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import pg from "pg";
import { startEmbedded } from "../../src/embedded/index.ts";
import { connect, type Longhaul } from "../../src/index.ts";
import { type RunningServer, serve } from "../../src/server/index.ts";
import { research } from "./agent.ts";
import { openCorpus } from "./corpus.ts";
import { Crew } from "./crew.ts";
import { LIBRARY, openDocuments } from "./documents.ts";
import type { DemoOptions } from "./options.ts";
import { buildIndex } from "./search-index.ts";
import type { Tell } from "./tale.ts";

export interface Stage {
  readonly longhaul: Longhaul;
  readonly server: RunningServer;
  readonly crew: Crew;
  readonly documents: pg.Pool;
  readonly witness: string;
  readonly clockAheadMs: number;
}

/** What must be undone, in reverse. Each entry is made before what it undoes is waited for, so that nothing escapes a Ctrl-C. */
export class Curtain {
  readonly #undo: (() => Promise<unknown> | unknown)[] = [];

  /** Remembers how to undo what the promise gives, should it give anything. */
  async add<T>(making: Promise<T>, undo: (made: T) => Promise<unknown> | unknown): Promise<T> {
    this.#undo.push(() => making.then(undo, () => undefined));
    return await making;
  }

  /** Undoes everything, whatever fails; answers what did. */
  async fall(): Promise<unknown[]> {
    const failures: unknown[] = [];
    for (const undo of this.#undo.splice(0).reverse()) {
      try {
        await undo();
      } catch (error) {
        failures.push(error);
      }
    }
    return failures;
  }
}

export const WORKERS = 2;
const DATABASE_PREFIX = "longhaul_demo_";

/** @throws Error and LonghaulError when something cannot be had; the signal's reason when it aborts */
export async function setStage(options: DemoOptions, tell: Tell, curtain: Curtain, stop: AbortSignal): Promise<Stage> {
  const dataDir = resolve(options.dataDir);
  mkdirSync(dataDir, { recursive: true });
  const url = await openDatabase(options, dataDir, tell, curtain, stop);
  const longhaul = await curtain.add(connect({ url, agents: [research], worker: false }), (it) => it.close());
  stop.throwIfAborted();
  const server = await curtain.add(serve({ longhaul, port: 0 }), (it) => it.close());
  stop.throwIfAborted();
  const witness = emptyFile(join(dataDir, "witness.ndjson"));
  const logFile = emptyFile(join(dataDir, "workers.log"));
  const crew = new Crew({ longhaul, url, witness, logFile, tell });
  const documents = openDocuments(url);
  await curtain.add(Promise.resolve(), async () => {
    await crew.end();
    crew.close();
    await documents.end();
  });
  tell({ event: "preparing", what: `server on ${server.url}, ${WORKERS} worker processes, index` });
  // Side by side: the workers load while the index is built.
  await Promise.all([crew.fill(WORKERS), index(documents, tell, stop)]);
  stop.throwIfAborted();
  return { longhaul, server, crew, documents, witness, clockAheadMs: await clockAhead(documents) };
}

/** A fresh database for this run of the demo, on the embedded server or on the one that was named. */
async function openDatabase(
  options: DemoOptions,
  dataDir: string,
  tell: Tell,
  curtain: Curtain,
  stop: AbortSignal,
): Promise<string> {
  const startedMs = performance.now();
  let serverUrl = options.url;
  let pid: number | null = null;
  if (serverUrl === undefined) {
    tell({ event: "preparing", what: "embedded PostgreSQL" });
    const embedded = await curtain.add(startEmbedded({ dataDir, ifRunning: "fail" }), (it) => it.stop());
    stop.throwIfAborted();
    serverUrl = embedded.url;
    pid = embedded.pid;
    await dropLeftovers(serverUrl);
  }
  const name = `${DATABASE_PREFIX}${Date.now().toString(36)}_${process.pid}`;
  const server = serverUrl;
  await curtain.add(onServer(server, `create database ${name}`), () =>
    onServer(server, `drop database if exists ${name} with (force)`),
  );
  stop.throwIfAborted();
  const seconds = (performance.now() - startedMs) / 1_000;
  const detail = pid === null ? `database ${name}, dropped at the end` : `pid ${pid}, data in ${options.dataDir}`;
  tell({ event: "prepared", what: pid === null ? "PostgreSQL" : "embedded PostgreSQL", detail, seconds });
  tell({
    event: "processes",
    database: pid,
    witness: join(dataDir, "witness.ndjson"),
    workerLog: join(dataDir, "workers.log"),
  });
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.toString();
}

/** Databases of demos that were killed. The embedded server is this demo's alone, so nobody else can be using them. */
async function dropLeftovers(url: string): Promise<void> {
  const names = await onServer<{ datname: string }>(
    url,
    `select datname from pg_database where datname like '${DATABASE_PREFIX.replaceAll("_", "\\_")}%'`,
  );
  for (const { datname } of names) await onServer(url, `drop database if exists ${datname} with (force)`);
}

async function onServer<Row extends pg.QueryResultRow>(url: string, statement: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(statement)).rows;
  } finally {
    await client.end();
  }
}

async function index(documents: pg.Pool, tell: Tell, stop: AbortSignal): Promise<void> {
  const startedMs = performance.now();
  const corpus = await openCorpus(LIBRARY, { signal: stop });
  const { pages } = corpus;
  const onProgress = (passages: number): void => tell({ event: "indexing", passages, pages });
  const { passages } = await buildIndex(documents, corpus, { onProgress, signal: stop });
  tell({
    event: "prepared",
    what: "full-text index",
    detail: `${count(passages)} passages of ${count(pages)} Markdown pages (this project and node_modules)`,
    seconds: (performance.now() - startedMs) / 1_000,
  });
}

/** How far the database's clock is ahead of ours, by the quickest of some questions. */
async function clockAhead(documents: pg.Pool): Promise<number> {
  let best = { tookMs: Number.POSITIVE_INFINITY, aheadMs: 0 };
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const beforeMs = Date.now();
    const { rows } = await documents.query<{ now: Date }>("select clock_timestamp() as now");
    const tookMs = Date.now() - beforeMs;
    const nowMs = rows[0]?.now.getTime() ?? beforeMs;
    if (tookMs < best.tookMs) best = { tookMs, aheadMs: nowMs - (beforeMs + tookMs / 2) };
  }
  // Two clocks that agree this well are one.
  return Math.abs(best.aheadMs) <= best.tookMs / 2 + 1 ? 0 : best.aheadMs;
}

function emptyFile(path: string): string {
  rmSync(path, { force: true });
  writeFileSync(path, "");
  return path;
}

function count(number: number): string {
  return number.toLocaleString("en-US");
}
