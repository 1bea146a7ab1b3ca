// Why a queued run has not started: whatever holds it back, the outermost first, and what its time is.
import { formatDuration } from "../domain/duration.ts";
import type { Run } from "../domain/run.ts";
import type { Holdup } from "../store/queue.ts";
import type { Why } from "./api.ts";

export type Reason = Pick<Why, "sentence" | "code" | "details" | "commands">;
type Held = Pick<Reason, "sentence" | "code" | "commands">;

export function queued(run: Run, holdup: Holdup): Reason {
  const held = heldBack(run, holdup) ?? hindered(run, holdup) ?? ahead(holdup);
  return { ...held, sentence: held.sentence + inTime(holdup), details: detailsOf(run, holdup) };
}

export function behind(sentence: string): Reason {
  return { code: "behind", sentence, details: {}, commands: [] };
}

/** It may not start yet, whoever had room for it. */
function heldBack(run: Run, holdup: Holdup): Held | null {
  const { due_at: dueAt, now_at: nowAt, thread_active: active } = holdup;
  if (dueAt !== null) {
    const left = formatDuration(Math.max(0, dueAt.getTime() - nowAt.getTime()));
    return { code: "delay", sentence: `It may not start before ${dueAt.toISOString()}, in ${left}.`, commands: [] };
  }
  if (holdup.isolate) {
    const sentence = `Its process died ${holdup.crashes} times without progress; it waits to be tried alone in a process of its own.`;
    return { code: "isolated", sentence, commands: ["longhaul worker"] };
  }
  if (!holdup.in_ready && active !== null && active !== run.runId) {
    const sentence = `It waits for its turn in thread ${run.threadId}: run ${active} is active there.`;
    return { code: "thread", sentence, commands: [`longhaul runs why ${active}`] };
  }
  return null;
}

/** Something it needs is taken or missing. */
function hindered(run: Run, holdup: Holdup): Held | null {
  const tenant = JSON.stringify(run.tenant);
  if (holdup.paused) {
    const sentence = `Tenant ${run.tenant} is paused: none of its runs starts.`;
    return { code: "tenant_paused", sentence, commands: [`longhaul tenants resume ${tenant}`] };
  }
  if (holdup.in_flight >= holdup.cap) {
    const sentence = `Tenant ${run.tenant} is at the cap of its plan "${holdup.plan}" (${holdup.in_flight} of ${holdup.cap} in flight); ${nextOf("its runs", holdup.cap)}`;
    return { code: "cap", sentence, commands: [`longhaul tenants show ${tenant}`, "longhaul plans list"] };
  }
  if (holdup.key_cap !== null && (holdup.key_in_flight ?? 0) >= holdup.key_cap) {
    const which = holdup.key === "" ? "without a concurrency key" : `with the concurrency key "${holdup.key}"`;
    const sentence = `Of the tenant's runs of agent ${run.agent} ${which}, ${holdup.key_in_flight} of ${holdup.key_cap} are in flight; ${nextOf("them", holdup.key_cap)}`;
    return { code: "key_limit", sentence, commands: [`longhaul runs list --agent ${run.agent} --status running`] };
  }
  if (holdup.agent_cap !== null && (holdup.agent_in_flight ?? 0) >= holdup.agent_cap) {
    const sentence = `Agent ${run.agent} is at its limit (${holdup.agent_in_flight} of ${holdup.agent_cap} runs of all tenants in flight); ${nextOf("them", holdup.agent_cap)}`;
    return { code: "agent_limit", sentence, commands: [`longhaul runs list --agent ${run.agent} --status running`] };
  }
  if (holdup.workers > 0) return null;
  const sentence = `No worker serves build "${run.build}" on queue "${run.queue}"${waited(holdup)}; start one.`;
  return { code: "no_worker", sentence, commands: ["longhaul worker", "longhaul workers"] };
}

function ahead({ ahead: count, workers, start_by: startBy }: Holdup): Held {
  const sentence = `It is ready: ${count} of its tenant's runs are ahead of it, and a free slot of ${workers} worker${workers === 1 ? "" : "s"} takes it.`;
  return { code: startBy === null ? "behind" : "expires", sentence, commands: [] };
}

function nextOf(whose: string, cap: number): string {
  return cap === 0 ? "none may start." : `the next of ${whose} that ends or waits makes room.`;
}

function waited({ ready_at: readyAt, now_at: nowAt }: Holdup): string {
  if (readyAt === null) return "";
  return `, and it has waited for ${formatDuration(Math.max(0, nowAt.getTime() - readyAt.getTime()))}`;
}

function inTime({ start_by: startBy, now_at: nowAt }: Holdup): string {
  if (startBy === null) return "";
  const leftMs = startBy.getTime() - nowAt.getTime();
  if (leftMs <= 0) return " Its time to start is over: it ends as expired within a second or two.";
  return ` If nobody has started it in ${formatDuration(leftMs)}, it ends as expired.`;
}

function detailsOf(run: Run, holdup: Holdup): Record<string, unknown> {
  return {
    queue: run.queue,
    build: run.build,
    ahead: holdup.ahead,
    workers: holdup.workers,
    plan: holdup.plan,
    cap: holdup.cap,
    inFlight: holdup.in_flight,
    agentLimit: holdup.agent_cap,
    agentInFlight: holdup.agent_in_flight,
    key: holdup.key,
    keyLimit: holdup.key_cap,
    keyInFlight: holdup.key_in_flight,
    readyAt: holdup.ready_at?.toISOString() ?? null,
    startBy: holdup.start_by?.toISOString() ?? null,
  };
}
