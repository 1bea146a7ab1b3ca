// A fake provider in a process of its own, for tests in which everybody else dies.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Behaviour } from "./behaviour.ts";
import type { FakeProviderUrls } from "./handle.ts";
import type { ModelLimits, Violation, WindowReport } from "./referee.ts";
import type { Reply } from "./reply.ts";
import type { FakeProviderSettings } from "./settings.ts";
import type { Counts, WitnessedCall } from "./witness.ts";

export interface RemoteCounts extends Counts {
  readonly windows: readonly WindowReport[];
  readonly limitViolations: readonly Violation[];
}

/** What can be asked of a fake provider from another process, by its origin alone. */
export interface FakeProviderControl {
  calls(after?: number): Promise<WitnessedCall[]>;
  counts(): Promise<RemoteCounts>;
  behave(behaviour: Behaviour): Promise<void>;
  next(...replies: Reply[]): Promise<void>;
  limit(limits: Readonly<Record<string, ModelLimits>>): Promise<void>;
  use(model: string, tokens: { inputTokens?: number; outputTokens?: number }, key?: string): Promise<void>;
  clear(): Promise<void>;
}

export interface FakeProviderProcess extends FakeProviderControl {
  readonly pid: number;
  readonly port: number;
  readonly origin: string;
  readonly urls: FakeProviderUrls;
  readonly key: string;
  stop(): Promise<void>;
}

const PROGRAM = fileURLToPath(new URL("fake-provider-program.ts", import.meta.url));

/** Ends with this process, whatever ends it. */
export async function startFakeProviderProcess(settings: FakeProviderSettings = {}): Promise<FakeProviderProcess> {
  const argument = JSON.stringify({ ...settings, endsWithInput: true });
  const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), PROGRAM, argument], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  for await (const line of createInterface({ input: child.stdout })) {
    const { pid, port, origin, urls, key } = JSON.parse(line);
    const stop = async (): Promise<void> => {
      child.kill("SIGTERM");
      await ended;
    };
    return { pid, port, origin, urls, key, stop, ...controlOf(origin) };
  }
  throw new Error("the fake provider ended before it said where it is");
}

export function controlOf(origin: string): FakeProviderControl {
  // biome-ignore lint/suspicious/noExplicitAny: each caller knows what its path answers.
  async function ask(path: string, body?: unknown): Promise<any> {
    const posted = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
    const response = await fetch(`${origin}/control/${path}`, posted);
    if (!response.ok) throw new Error(`the fake provider refused ${path}: ${await response.text()}`);
    return response.json();
  }
  return {
    calls: (after = 0) => ask(`log?after=${after}`),
    counts: () => ask("counts"),
    behave: (behaviour) => ask("behaviour", behaviour),
    next: (...replies) => ask("next", replies),
    limit: (limits) => ask("limits", limits),
    use: (model, tokens, key) => ask("use", { model, ...tokens, key }),
    clear: () => ask("clear", {}),
  };
}
