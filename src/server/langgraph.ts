// LangGraph's words for our things: every translation of a status, a run, a thread, a question or an assistant is here.
import type { Run } from "../domain/run.ts";
import type { Thread } from "../runtime/api.ts";
import { assistantIdOf, type KnownAgent } from "./assistants.ts";
import type { Question } from "./entries.ts";

export const RUN_STATUSES = ["pending", "running", "error", "success", "timeout", "interrupted"] as const;
export type LangGraphStatus = (typeof RUN_STATUSES)[number];

/** `waitsForPerson`: an approval or an interrupt of this run is pending. */
export function statusOf(run: Pick<Run, "status" | "reason">, waitsForPerson: boolean): LangGraphStatus {
  switch (run.status) {
    case "queued":
      return "pending";
    case "running":
      return "running";
    case "waiting":
      return waitsForPerson ? "interrupted" : "running";
    case "paused":
    case "cancelled":
      return "interrupted";
    case "succeeded":
      return "success";
    case "failed":
      return run.reason === "run_timeout" ? "timeout" : "error";
  }
}

/** Where a run with this LangGraph status may stand with us. */
export function statusesOf(status: LangGraphStatus): Run["status"][] {
  switch (status) {
    case "pending":
      return ["queued"];
    case "running":
      return ["running", "waiting"];
    case "success":
      return ["succeeded"];
    case "error":
    case "timeout":
      return ["failed"];
    case "interrupted":
      return ["waiting", "paused", "cancelled"];
  }
}

/** A run without a thread is a thread of its own: LangGraph's clients put a thread id into every path. */
export function threadIdOf(run: Pick<Run, "runId" | "threadId">): string {
  return run.threadId ?? run.runId;
}

export function runResource(run: Run, waitsForPerson: boolean): Record<string, unknown> {
  return {
    run_id: run.runId,
    thread_id: threadIdOf(run),
    assistant_id: assistantIdOf(run.agent),
    created_at: run.runAt ?? run.createdAt,
    updated_at: run.finishedAt ?? run.createdAt,
    status: statusOf(run, waitsForPerson),
    metadata: run.metadata,
    kwargs: run.options,
    multitask_strategy: run.options.multitask_strategy ?? "enqueue",
  };
}

/** An approval is shown as the review request that chat interfaces know how to draw; an interrupt as the value it was given. */
export function interruptOf(approval: Question): { id: string; value: unknown } {
  const { approvalId, kind, name, request } = approval;
  if (kind === "interrupt") return { id: approvalId, value: request };
  const value = {
    action_requests: [{ name, args: request }],
    review_configs: [{ action_name: name, allowed_decisions: ["approve", "edit", "reject"] }],
  };
  return { id: approvalId, value };
}

/** The frame, and the answer of wait and join, that say: a person is asked. */
export function interruptValues(pending: readonly Question[]): { __interrupt__: { id: string; value: unknown }[] } {
  return { __interrupt__: pending.map(interruptOf) };
}

export function threadResource(thread: Thread, values: unknown): Record<string, unknown> {
  return {
    thread_id: thread.threadId,
    created_at: thread.createdAt,
    updated_at: thread.updatedAt,
    state_updated_at: thread.updatedAt,
    metadata: threadMetadata(thread),
    status: thread.status,
    config: {},
    values: values ?? null,
    interrupts: Object.fromEntries(thread.interrupts.map((asked) => [asked.approvalId, [interruptOf(asked)]])),
    error: null,
  };
}

/** The thread as one snapshot: it has one state and no history of checkpoints, so clients are given none to fork from. */
export function threadState(thread: Thread, values: unknown): Record<string, unknown> {
  const waiting = thread.interrupts.map(({ name }) => name);
  const working = thread.status === "busy" && thread.agent !== null ? [thread.agent] : [];
  return {
    values: values ?? {},
    next: waiting.length > 0 ? waiting : working,
    tasks: thread.interrupts.map((asked) => ({
      id: asked.approvalId,
      name: asked.name,
      path: ["__pregel_pull", asked.name],
      error: null,
      interrupts: [interruptOf(asked)],
      checkpoint: null,
      state: null,
      result: null,
    })),
    metadata: threadMetadata(thread),
    created_at: thread.updatedAt,
    checkpoint: null,
    parent_checkpoint: null,
  };
}

function threadMetadata(thread: Thread): Record<string, unknown> {
  const { agent, metadata } = thread;
  return agent === null ? metadata : { graph_id: agent, assistant_id: assistantIdOf(agent), ...metadata };
}

export function assistantResource(agent: KnownAgent, createdAt: string): Record<string, unknown> {
  return {
    assistant_id: assistantIdOf(agent.name),
    graph_id: agent.name,
    name: agent.name,
    description: agent.description,
    config: {},
    context: {},
    metadata: { created_by: "system" },
    version: 1,
    created_at: createdAt,
    updated_at: createdAt,
  };
}
