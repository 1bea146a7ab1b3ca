// The real program `longhaul` in a process of its own, from the sources: run to its end, or followed while it runs.
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { built } from "./built.ts";

export interface CliOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** What it reads on standard input; default nothing. */
  readonly input?: string;
}

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as JSON. */
  json<T = unknown>(): T;
  /** Standard output as one JSON value per line. */
  lines<T = Record<string, unknown>>(): T[];
  /** Standard error as the JSON that `--json` gives. */
  error(): { code: string; message: string; hint: string; details?: unknown };
}

/** An event that a long-running command prints. */
export type CliEvent = Readonly<Record<string, unknown>> & { readonly event: string };

const MAIN = built(new URL("../../src/cli/main.ts", import.meta.url));
/** Nothing of the machine's own configuration may leak in. */
const OURS = /^(LONGHAUL_|DATABASE_URL$|PORT$|NO_COLOR$|FORCE_COLOR$|NODE_OPTIONS$)/;

function start(args: readonly string[], { cwd, env = {} }: CliOptions): ChildProcess {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OURS.test(name)));
  return spawn(process.execPath, [MAIN, ...args], { cwd, env: { ...clean, ...env } });
}

/** The command line that starts the program, for a shell. */
export function cliCommand(args: string): string {
  return `'${process.execPath}' '${MAIN}' ${args}`;
}

export function cli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  const child = start(args, options);
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin?.end(options.input ?? "");
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(resultOf(code, stdout, stderr)));
  });
}

function resultOf(code: number | null, stdout: string, stderr: string): CliResult {
  const parse = <T>(text: string): T => {
    try {
      return JSON.parse(text) as T;
    } catch (cause) {
      throw new Error(`not JSON (exit code ${code}): ${text}\n${stderr}`, { cause });
    }
  };
  return {
    code,
    stdout,
    stderr,
    json: () => parse(stdout),
    lines: () =>
      stdout
        .trim()
        .split("\n")
        .filter((text) => text !== "")
        .map((text) => parse(text)),
    error: () => parse<{ error: { code: string; message: string; hint: string } }>(stderr).error,
  };
}

/** A command that runs on. */
export class RunningCli {
  readonly child: ChildProcess;
  readonly events: CliEvent[] = [];
  readonly exit: Promise<number | NodeJS.Signals | null>;
  #stderr = "";
  #wake: (() => void)[] = [];
  #ended = false;

  constructor(args: readonly string[], options: CliOptions) {
    this.child = start(args, options);
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    createInterface({ input: this.child.stdout as NodeJS.ReadableStream }).on("line", (text) => {
      this.events.push(JSON.parse(text) as CliEvent);
      this.#notify();
    });
    this.exit = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        this.#ended = true;
        this.#notify();
        resolve(signal ?? code);
      });
    });
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** The first event of this name after the `skip` first ones of it that also matches. */
  async event(name: string, matches: (event: CliEvent) => boolean = () => true, skip = 0): Promise<CliEvent> {
    for (;;) {
      const found = this.events.filter((event) => event.event === name && matches(event))[skip];
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`it ended without ${name}: ${JSON.stringify(this.events)}\n${this.#stderr}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** For the end of a test, however it went. */
  async end(): Promise<void> {
    if (!this.#ended) this.child.kill("SIGTERM");
    await this.exit;
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
