// A process of its own that owns an embedded server, so that a test can kill it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { EmbeddedPostgres } from "../../src/embedded/index.ts";
import { built } from "../support/built.ts";

type Facts = Pick<EmbeddedPostgres, "url" | "port" | "pid" | "adopted">;

export interface Host extends AsyncDisposable {
  /** The process that owns the server. */
  readonly pid: number;
  readonly server: Facts;
  /** kill -9, and waits for the end. */
  kill(): Promise<void>;
}

export interface HostOptions {
  /** The user to run as; default: that of this process. */
  readonly uid?: number;
  readonly gid?: number;
  /** The module that has startEmbedded; default: that of src. */
  readonly module?: string;
}

const PROGRAM = built(new URL("host-program.ts", import.meta.url));
const MODULE = built(new URL("../../src/embedded/index.ts", import.meta.url));

/** Starts the process, and waits until its server runs. Rejects with what the process said if it cannot. */
export async function startHost(dataDir: string, { module = MODULE, ...user }: HostOptions = {}): Promise<Host> {
  const child = spawn(process.execPath, [PROGRAM, dataDir, module], {
    stdio: ["pipe", "pipe", "pipe"],
    ...user,
  });
  const server = await firstLine(child);
  const ended = once(child, "exit");
  return {
    pid: child.pid ?? -1,
    server,
    kill: async () => {
      child.kill("SIGKILL");
      await ended;
    },
    [Symbol.asyncDispose]: async () => {
      // The program stops its server when its input ends.
      child.stdin?.end();
      await ended;
    },
  };
}

async function firstLine(child: ChildProcess): Promise<Facts> {
  let complaint = "";
  child.stderr?.on("data", (bytes: Buffer) => {
    complaint += bytes.toString();
  });
  if (child.stdout === null) throw new Error("no output");
  for await (const line of createInterface({ input: child.stdout })) return JSON.parse(line) as Facts;
  throw new Error(`the host ended: ${complaint}`);
}
