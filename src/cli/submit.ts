// Commands that put work in: submit a run, retry or fork one, and send one a signal.
import { userInfo } from "node:os";
import { agent } from "../agents/agent.ts";
import type { AnyAgent } from "../agents/ctx.ts";
import { fail } from "../domain/errors.ts";
import { nearest } from "../domain/nearest.ts";
import type { RunResult } from "../domain/run.ts";
import type { RunHandle, SubmitOptions, Tenant } from "../runtime/api.ts";
import type { Context } from "./context.ts";
import { type OpenInstallation, withInstallation } from "./installation.ts";
import { jsonObject } from "./mistake.ts";

export interface Submitted {
  readonly runId: string;
  readonly threadId: string | null;
  /** True when an idempotency key or run id found a run that was already there. */
  readonly existing: boolean;
  /** With `--wait`: how it ended. */
  readonly result?: RunResult;
}

interface WaitFlags {
  readonly wait?: boolean | undefined;
  readonly timeout?: string | undefined;
}

export interface SubmitInput extends WaitFlags {
  readonly agent: string;
  readonly input?: unknown;
  readonly thread?: string | undefined;
  readonly ifBusy?: "enqueue" | "reject" | "interrupt" | undefined;
  readonly queue?: string | undefined;
  readonly priority?: number | undefined;
  readonly key?: string | undefined;
  readonly runId?: string | undefined;
  readonly concurrencyKey?: string | undefined;
  readonly startWithin?: string | undefined;
  readonly delay?: string | undefined;
  readonly metadata?: unknown;
}

export async function submitRun(input: SubmitInput, context: Context): Promise<Submitted> {
  const metadata = jsonObject("--metadata", input.metadata);
  return await withInstallation(context, async (tenant, installation) => {
    const { thread: threadId, ifBusy, queue, priority, key: idempotencyKey, runId, delay } = input;
    const { concurrencyKey, startWithin } = input;
    const place = { threadId, ifBusy, queue, priority, concurrencyKey };
    const given = { ...place, idempotencyKey, runId, delay, startWithin, metadata };
    const options = Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    ) as SubmitOptions;
    return await submitted(
      tenant,
      await tenant.submit(await agentNamed(input.agent, installation), input.input, options),
      input,
    );
  });
}

/** The agent of this project, whose schema checks the input; else one that a live worker has. @throws AGENT_UNKNOWN */
export async function agentNamed(name: string, { project, longhaul }: OpenInstallation): Promise<AnyAgent> {
  const here = project.namesAgents ? (await project.agents()).map(({ agent }) => agent) : [];
  const found = here.find((agent) => agent.name === name);
  if (found !== undefined) return found;
  const workers = await longhaul.workers();
  const elsewhere = workers
    .filter(({ state }) => state === "active" || state === "draining")
    .flatMap(({ agents }) => agents);
  if (elsewhere.includes(name)) return agent({ name, run: () => undefined });
  const known = [...new Set([...here.map((agent) => agent.name), ...elsewhere])].sort();
  const meant = nearest(name, known);
  const list = known.length === 0 ? "none" : known.join(", ");
  const suggestion = meant === undefined ? list : `${list} (did you mean ${meant}?)`;
  throw fail("AGENT_UNKNOWN", { agent: name, known: suggestion }, { details: { didYouMean: meant ?? null } });
}

export function retryRun(
  input: WaitFlags & { run: string; by?: string | undefined },
  context: Context,
): Promise<Submitted> {
  return withInstallation(context, async (tenant) =>
    submitted(tenant, await tenant.retry(input.run, { by: input.by ?? whoami() }), input),
  );
}

export interface ForkInput extends WaitFlags {
  readonly run: string;
  readonly beforeStep?: string | undefined;
  readonly input?: unknown;
}

export function forkRun(input: ForkInput, context: Context): Promise<Submitted> {
  const options = {
    ...(input.beforeStep === undefined ? {} : { beforeStep: input.beforeStep }),
    ...(input.input === undefined ? {} : { input: input.input }),
  };
  return withInstallation(context, async (tenant) => submitted(tenant, await tenant.fork(input.run, options), input));
}

export interface Signalled {
  readonly runId: string;
  readonly signal: string;
}

export function signalRun(
  input: { run: string; name: string; payload?: unknown },
  context: Context,
): Promise<Signalled> {
  return withInstallation(context, async (tenant) => {
    await tenant.signal(input.run, input.name, input.payload);
    return { runId: input.run, signal: input.name };
  });
}

async function submitted(tenant: Tenant, handle: RunHandle, { wait, timeout }: WaitFlags): Promise<Submitted> {
  const { runId, threadId, existing } = handle;
  if (wait !== true) return { runId, threadId, existing };
  const { durationMs } = await import("../domain/duration.ts");
  const result = await tenant.wait(runId, timeout === undefined ? {} : { timeoutMs: durationMs(timeout) });
  return { runId, threadId, existing, result };
}

/** The name of who sits at the terminal, for the record of who decided. */
export function whoami(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}
