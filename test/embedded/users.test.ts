// Who runs the server: root hands it to an unprivileged user, also where that user may not go; others run it themselves.
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startEmbedded } from "../../src/embedded/index.ts";
import { openDatabase } from "../../src/store/database.ts";
import { startHost } from "./host-process.ts";

const isRoot = process.getuid?.() === 0;
/** An ordinary user, with an entry in /etc/passwd as initdb wants it, and yet not the one that root hands the server to. */
const ordinary = isRoot ? userOf("daemon") : undefined;

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "longhaul-users-"));
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

function userOf(name: string): { uid: number; gid: number } | undefined {
  const entry = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
    .find(([user]) => user === name);
  return entry === undefined ? undefined : { uid: Number(entry[2]), gid: Number(entry[3]) };
}

/** The user id under which a process runs, from the system. */
function uidOf(pid: number): number {
  return statSync(`/proc/${pid}`).uid;
}

async function answer(url: string): Promise<unknown> {
  const db = openDatabase({ url, max: 1 });
  try {
    return await db.query("select 1 as one");
  } finally {
    await db.end();
  }
}

describe.runIf(isRoot && process.platform === "linux")("as root", () => {
  test("the server runs as an unprivileged user, who owns the data and not the password", async () => {
    chmodSync(parent, 0o755);
    const dataDir = join(parent, "data");
    const server = await startEmbedded({ dataDir });
    expect(uidOf(server.pid)).not.toBe(0);
    expect(statSync(join(dataDir, "postgres")).uid).toBe(uidOf(server.pid));
    expect(statSync(join(dataDir, "postgres.password"))).toMatchObject({ uid: 0 });
    await server.stop();
  });

  test("works below a folder that the unprivileged user may not enter, as /root is, and adopts there", async () => {
    expect(statSync(parent).mode & 0o777).toBe(0o700);
    const dataDir = join(parent, "data");
    const host = await startHost(dataDir);
    expect(await answer(host.server.url)).toEqual([{ one: 1 }]);
    await host.kill();
    const server = await startEmbedded({ dataDir });
    expect(server).toMatchObject({ adopted: true, pid: host.server.pid });
    await server.stop();
    const again = await startEmbedded({ dataDir });
    expect(await answer(again.url)).toEqual([{ one: 1 }]);
    await again.stop();
  });

  test.runIf(ordinary !== undefined)("a server of another user's data runs as that user", async () => {
    chmodSync(parent, 0o777);
    const dataDir = join(parent, "data");
    const host = await startHost(dataDir, ordinary);
    expect(uidOf(host.server.pid)).toBe(ordinary?.uid);
    await host[Symbol.asyncDispose]();
    const server = await startEmbedded({ dataDir });
    expect(uidOf(server.pid)).toBe(ordinary?.uid);
    expect(await answer(server.url)).toEqual([{ one: 1 }]);
    await server.stop();
  });
});

describe.runIf(ordinary !== undefined)("as an ordinary user", () => {
  test("the server runs as that user", async () => {
    chmodSync(parent, 0o777);
    await using host = await startHost(join(parent, "data"), ordinary);
    expect(uidOf(host.server.pid)).toBe(ordinary?.uid);
    expect(await answer(host.server.url)).toEqual([{ one: 1 }]);
  });

  test("the data of somebody else are refused with the reason", async () => {
    chmodSync(parent, 0o755);
    const dataDir = join(parent, "data");
    const { uid = 0, gid = 0 } = ordinary ?? {};
    mkdirSync(join(dataDir, "postgres"), { recursive: true });
    chownSync(dataDir, uid, gid);
    await expect(startHost(dataDir, ordinary)).rejects.toThrow("its data belongs to the user with id 0");
  });
});
