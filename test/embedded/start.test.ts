// The embedded server as its callers see it: first start, restart, sharing, taking over, stopping, and what is on disk.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type EmbeddedPostgres, startEmbedded } from "../../src/embedded/index.ts";
import { isAlive } from "../../src/embedded/process-identity.ts";
import { openDatabase } from "../../src/store/database.ts";
import { startHost } from "./host-process.ts";

let dataDir: string;
let running: EmbeddedPostgres[] = [];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "longhaul-embedded-"));
  running = [];
});
afterEach(async () => {
  // The last start of a test may own the server that an earlier one began.
  for (const server of running.reverse()) await server.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(options: Partial<Parameters<typeof startEmbedded>[0]> = {}): Promise<EmbeddedPostgres> {
  const server = await startEmbedded({ dataDir, ...options });
  running.push(server);
  return server;
}

async function query(url: string, text: string): Promise<Record<string, unknown>[]> {
  const db = openDatabase({ url, max: 1 });
  try {
    return await db.query(text);
  } finally {
    await db.end();
  }
}

describe("a server of one's own", () => {
  test("starts from nothing, keeps its data, port and password, and is gone after stop", async () => {
    const log: string[] = [];
    const first = await start({ log: (line) => log.push(line) });
    expect(first.adopted).toBe(false);
    expect(log).toEqual([`Making a PostgreSQL cluster in ${join(dataDir, "postgres")}`, "Starting PostgreSQL"]);
    await query(first.url, "create table kept as select 42 as answer");
    await Promise.all([first.stop(), first.stop()]);
    expect(isAlive(first.pid)).toBe(false);

    const second = await start();
    expect(second.url).toBe(first.url);
    expect(second.pid).not.toBe(first.pid);
    expect(await query(second.url, "select answer from kept")).toEqual([{ answer: 42 }]);
  });

  test("is safe, UTF8, and closed to everybody but this machine and who knows the password", async () => {
    const { url, port } = await start();
    const names = "listen_addresses unix_socket_directories fsync synchronous_commit full_page_writes max_connections";
    const settings = names.split(" ").map((name) => `current_setting('${name}') as ${name}`);
    expect(await query(url, `select ${settings.join(", ")}, current_setting('server_encoding') as encoding`)).toEqual([
      {
        listen_addresses: "127.0.0.1",
        unix_socket_directories: "",
        fsync: "on",
        synchronous_commit: "on",
        full_page_writes: "on",
        max_connections: "200",
        encoding: "UTF8",
      },
    ]);
    await expect(query(`postgres://longhaul:wrong@127.0.0.1:${port}/postgres`, "select 1")).rejects.toMatchObject({
      code: "28P01",
    });
    expect(statSync(join(dataDir, "postgres.password")).mode & 0o777).toBe(0o600);
    expect(statSync(join(dataDir, "postgres")).mode & 0o777).toBe(0o700);
  });

  test("takes settings of the caller", async () => {
    const { url } = await start({ settings: { work_mem: "7MB" } });
    expect(await query(url, "show work_mem")).toEqual([{ work_mem: "7MB" }]);
  });

  test("moves to another port when its own was taken meanwhile", async () => {
    const first = await start();
    await first.stop();
    const other = await startEmbedded({ dataDir: join(dataDir, "other"), settings: {} });
    await other.stop();
    const owner = join(dataDir, "other", "postgres.owner.json");
    const taken = await start();
    writeFileSync(owner, JSON.stringify({ ...JSON.parse(readFileSync(owner, "utf8")), port: taken.port }));
    const moved = await startEmbedded({ dataDir: join(dataDir, "other") });
    running.push(moved);
    expect(moved.port).not.toBe(taken.port);
    expect(await query(moved.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test("a half-made cluster of a start that was killed is made anew", async () => {
    mkdirSync(join(dataDir, "postgres.draft", "base"), { recursive: true });
    writeFileSync(join(dataDir, "postgres.draft", "PG_VERSION"), "18\n");
    const { url } = await start();
    expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(existsSync(join(dataDir, "postgres.draft"))).toBe(false);
  });

  test("a setting that PostgreSQL refuses is told with its own words", async () => {
    await expect(start({ settings: { shared_buffers: "lots" } })).rejects.toMatchObject({
      code: "EMBEDDED_FAILED",
      message: expect.stringContaining("shared_buffers"),
      hint: expect.stringContaining(join(dataDir, "postgres.log")),
    });
  });
});

describe("two at once", () => {
  test("the second shares the server of the first, and does not stop it", async () => {
    const first = await start();
    const second = await start();
    expect(second).toMatchObject({ url: first.url, pid: first.pid, adopted: true });
    await second.stop();
    expect(await query(first.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test("who wants the directory alone is refused while its owner lives", async () => {
    await using host = await startHost(dataDir);
    await expect(start({ ifRunning: "fail" })).rejects.toMatchObject({
      code: "DATA_DIR_IN_USE",
      message: `The data directory ${dataDir} belongs to a running Longhaul process (pid ${host.pid}).`,
    });
    const shared = await start({ ifRunning: "adopt" });
    expect(shared).toMatchObject({ adopted: true, pid: host.server.pid });
  });

  test("starts at the same moment give one server", async () => {
    const servers = await Promise.all([start(), start(), start()]);
    expect(new Set(servers.map(({ pid }) => pid)).size).toBe(1);
    expect(servers.filter(({ adopted }) => !adopted)).toHaveLength(1);
  });
});

describe("after kill -9", () => {
  test("of its parent the server lives on, and the next start takes it over", async () => {
    const host = await startHost(dataDir);
    await query(host.server.url, "create table kept as select 1 as one");
    await host.kill();
    expect(await query(host.server.url, "select one from kept")).toEqual([{ one: 1 }]);

    const adopted = await start({ ifRunning: "fail" });
    expect(adopted).toMatchObject({ adopted: true, pid: host.server.pid, url: host.server.url });
    await adopted.stop();
    expect(isAlive(host.server.pid)).toBe(false);
  });

  test("of parent and server, the next start recovers what was committed", async () => {
    const host = await startHost(dataDir);
    await query(host.server.url, "create table kept as select 1 as one");
    process.kill(host.server.pid, "SIGKILL");
    await host.kill();
    const { url, adopted } = await start();
    expect(adopted).toBe(false);
    expect(await query(url, "select one from kept")).toEqual([{ one: 1 }]);
  });

  test("of the server alone, its owner starts it again at the same address", async () => {
    const first = await start();
    process.kill(first.pid, "SIGKILL");
    await expect.poll(() => isAlive(first.pid)).toBe(false);
    const second = await start();
    expect(second).toMatchObject({ adopted: false, url: first.url });
    await first.stop();
    expect(await query(second.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test("its pid may belong to a stranger by then, as in a container that was started again", async () => {
    const first = await start();
    process.kill(first.pid, "SIGKILL");
    await expect.poll(() => isAlive(first.pid)).toBe(false);
    const { uid, gid } = statSync(join(dataDir, "postgres"));
    const stranger = spawn("sleep", ["600"], process.getuid?.() === 0 ? { uid, gid } : {});
    const pidFile = join(dataDir, "postgres", "postmaster.pid");
    writeFileSync(pidFile, readFileSync(pidFile, "utf8").replace(/^\d+/, String(stranger.pid)));
    const second = await start();
    expect(await query(second.url, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(stranger.exitCode).toBe(null);
    stranger.kill();
  });

  test("of a process that held the start lock, others go on", async () => {
    const host = await startHost(dataDir);
    await host.kill();
    writeFileSync(join(dataDir, "start.lock"), JSON.stringify({ pid: host.pid, startedAt: "1" }));
    expect((await start()).adopted).toBe(true);
  });
});
