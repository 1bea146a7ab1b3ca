// Starting the embedded PostgreSQL of a data directory, or adopting the one that already runs there.
import { join, resolve } from "node:path";
import { fail } from "../domain/errors.ts";
import { type Binaries, prepareBinaries } from "./binaries.ts";
import { type Cluster, openCluster, SUPERUSER } from "./cluster.ts";
import { makeDataDir } from "./data-dir.ts";
import { isOwner, lastOwner, liveOwner, type Owner, releaseOwnership, takeOwnership } from "./owner.ts";
import { type Postmaster, runningPostmaster } from "./postmaster.ts";
import { chooseRunAs, type RunAs } from "./run-as.ts";
import { type Settings, startServer, stopServer, untilEnded, untilReady } from "./server.ts";
import { withStartLock } from "./start-lock.ts";

export interface EmbeddedOptions {
  /** The folder for everything: the cluster (`postgres/`), its password, its log. Made if it does not exist. */
  readonly dataDir: string;
  /** Told in one sentence what is being done; default: nothing. */
  readonly log?: ((message: string) => void) | undefined;
  /**
   * What to do when another live process owns the server: "adopt" (default) shares it, and leaves stopping to the owner;
   * "fail" throws DATA_DIR_IN_USE. A server whose owner died is taken over either way.
   */
  readonly ifRunning?: "adopt" | "fail" | undefined;
  /** Settings of PostgreSQL beside or instead of our own; they count when this call starts the server. */
  readonly settings?: Settings | undefined;
}

export interface EmbeddedPostgres {
  /** For DATABASE_URL; holds the password. */
  readonly url: string;
  readonly port: number;
  /** The server's main process. */
  readonly pid: number;
  /** True if the server was already running. */
  readonly adopted: boolean;
  /** True while that process lives. */
  running(): boolean;
  /** Shuts the server down if this call started it or took it over from a dead owner; else leaves it alone. Repeatable. */
  stop(): Promise<void>;
}

/** What one start works with. */
interface Site {
  readonly dataDir: string;
  readonly logFile: string;
  readonly runAs: RunAs | undefined;
  readonly binaries: Binaries;
  readonly cluster: Cluster;
}

/**
 * Gives a running PostgreSQL on this data directory: makes the cluster at the first call, starts the server, or adopts the
 * one that runs. The server outlives a killed parent; the next start finds it. Throws DATA_DIR_IN_USE,
 * DATA_DIR_UNUSABLE, EMBEDDED_UNSUPPORTED, EMBEDDED_FAILED.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const dataDir = resolve(options.dataDir);
  makeDataDir(dataDir);
  return await withStartLock(dataDir, async () => {
    const clusterDir = join(dataDir, "postgres");
    const owner = liveOwner(dataDir);
    const running = await settled(clusterDir, join(dataDir, "postgres.log"));
    if (owner !== undefined && options.ifRunning === "fail") throw fail("DATA_DIR_IN_USE", { dataDir, pid: owner.pid });
    const site = await openSite(dataDir, options.log);
    if (running === undefined) return await start(site, options);
    if (owner !== undefined) return share(site, running, options.log);
    options.log?.(`Taking over the PostgreSQL that an ended process left running (pid ${running.pid})`);
    return owned(site, running, true);
  });
}

/** The server that runs on the cluster, after it has finished starting or stopping; undefined if none does. */
async function settled(clusterDir: string, logFile: string): Promise<Postmaster | undefined> {
  const running = runningPostmaster(clusterDir);
  if (running?.status !== "stopping") {
    return await untilReady(clusterDir, () => runningPostmaster(clusterDir) === undefined, logFile);
  }
  if (await untilEnded(running.pid)) return undefined;
  throw fail("EMBEDDED_FAILED", { reason: `the server that ran before (pid ${running.pid}) does not end`, logFile });
}

async function openSite(dataDir: string, log: EmbeddedOptions["log"]): Promise<Site> {
  const logFile = join(dataDir, "postgres.log");
  const clusterDir = join(dataDir, "postgres");
  const runAs = chooseRunAs(clusterDir, logFile);
  const binaries = prepareBinaries(dataDir, runAs);
  const cluster = await openCluster(dataDir, binaries, runAs, logFile, log);
  return { dataDir, logFile, runAs, binaries, cluster };
}

async function start(site: Site, { settings = {}, log }: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { binaries, cluster, runAs, logFile } = site;
  log?.("Starting PostgreSQL");
  const preferredPort = lastOwner(site.dataDir)?.port;
  const postmaster = await startServer(binaries, cluster, runAs, preferredPort, settings, logFile);
  return owned(site, postmaster, false);
}

/** A server of which this call is the owner: it may stop it. */
function owned(site: Site, postmaster: Postmaster, adopted: boolean): EmbeddedPostgres {
  const owner = takeOwnership(site.dataDir, postmaster.port);
  let stopped: Promise<void> | undefined;
  return {
    ...handle(site, postmaster, adopted),
    stop: () => {
      stopped ??= stopOwned(site, postmaster, owner);
      return stopped;
    },
  };
}

function stopOwned(site: Site, postmaster: Postmaster, owner: Owner): Promise<void> {
  return withStartLock(site.dataDir, async () => {
    if (!isOwner(site.dataDir, owner)) return;
    if (runningPostmaster(site.cluster.dir)?.pid === postmaster.pid) {
      await stopServer(postmaster.pid, site.binaries, site.cluster.dir, site.logFile);
    }
    releaseOwnership(site.dataDir, owner);
  });
}

/** Somebody else's server: used, never stopped. */
function share(site: Site, postmaster: Postmaster, log: EmbeddedOptions["log"]): EmbeddedPostgres {
  log?.(`Sharing the PostgreSQL of another Longhaul process (pid ${postmaster.pid})`);
  return { ...handle(site, postmaster, true), stop: () => Promise.resolve() };
}

function handle(site: Site, { pid, port }: Postmaster, adopted: boolean): Omit<EmbeddedPostgres, "stop"> {
  const url = `postgres://${SUPERUSER}:${encodeURIComponent(site.cluster.password)}@127.0.0.1:${port}/postgres`;
  return { url, port, pid, adopted, running: () => runningPostmaster(site.cluster.dir)?.pid === pid };
}
