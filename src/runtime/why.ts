// Why a run does not move: one sentence, what would move it, and the same as data.
import { formatDuration } from "../domain/duration.ts";
import type { Run } from "../domain/run.ts";
import type { Database } from "../store/database.ts";
import { type Holdup, readHoldup } from "../store/queue.ts";
import { listApprovals, readWaits } from "../store/read.ts";
import type { Why } from "./api.ts";
import { behind, queued, type Reason } from "./why-queued.ts";

export async function why(db: Database, run: Run): Promise<Why> {
  return { runId: run.runId, status: run.status, ...(await reason(db, run)) };
}

async function reason(db: Database, run: Run): Promise<Reason> {
  const holdup = await readHoldup(db, run.runId);
  if (holdup === null)
    return run.finishedAt === null
      ? behind("It was submitted in a transaction and enters the queue within a second.")
      : finished(run);
  switch (holdup.state) {
    case "running":
      return running(run, holdup);
    case "waiting":
      return waiting(db, run, holdup);
    case "paused":
      return {
        code: "paused",
        sentence: `It is paused: ${run.reason ?? "by hand"}. It goes on when somebody releases it.`,
        details: { reason: run.reason },
        commands: [`longhaul runs retry ${run.runId}`, `longhaul runs cancel ${run.runId}`],
      };
    default:
      return queued(run, holdup);
  }
}

function finished(run: Run): Reason {
  return {
    code: "finished",
    sentence: `It has ended: ${run.status}${run.reason === null ? "" : ` (${run.reason})`}, at ${run.finishedAt}.`,
    details: { status: run.status, reason: run.reason },
    commands: run.status === "succeeded" ? [] : [`longhaul runs retry ${run.runId}`],
  };
}

function running(run: Run, holdup: Holdup): Reason {
  const leftMs = (holdup.expires_at?.getTime() ?? 0) - holdup.now_at.getTime();
  const worker = `worker ${holdup.worker_host ?? "?"}:${holdup.worker_pid ?? "?"}`;
  const lease =
    leftMs > 0
      ? `its lease ends in ${formatDuration(leftMs)} unless it is renewed`
      : "its lease has lapsed and another worker takes it within a second or two";
  return {
    code: "lease",
    sentence: `It is running on ${worker}; ${lease}.${run.cancelRequested ? " It was asked to cancel and stops at its next step." : ""}`,
    details: {
      workerId: holdup.worker_id,
      leaseLeftMs: leftMs,
      workerState: holdup.worker_state,
      cancelRequested: run.cancelRequested,
    },
    commands: [`longhaul runs watch ${run.runId}`],
  };
}

async function waiting(db: Database, run: Run, holdup: Holdup): Promise<Reason> {
  const waits = await readWaits(db, run.runId);
  const approvals = await listApprovals(db, run.tenant, { status: "pending", runId: run.runId, limit: 20 });
  const details = {
    waits: waits.map((wait) => ({ key: wait.key, label: wait.label, dueAt: wait.due_at?.toISOString() ?? null })),
  };
  const [approval] = approvals;
  if (approval !== undefined) {
    const isBudget = approval.name === "budget" && approval.step_key.includes("!budget#");
    const until =
      approval.expires_at === null
        ? ""
        : `, which expires in ${formatDuration(Math.max(0, approval.expires_at.getTime() - holdup.now_at.getTime()))}`;
    const more = approvals.length > 1 ? ` and ${approvals.length - 1} more` : "";
    return {
      code: isBudget ? "budget" : "approval",
      sentence: isBudget
        ? `Its budget is spent, and it waits for a person to raise it (approval "budget")${more}; an answer moves it.`
        : `It waits for a person to answer the ${approval.kind} "${approval.name}"${until}${more}; an answer moves it.`,
      details: { ...details, approvals: approvals.map((a) => a.approval_id) },
      commands: approvals
        .flatMap((a) => [`longhaul approvals approve ${a.approval_id}`, `longhaul approvals deny ${a.approval_id}`])
        .slice(0, 4),
    };
  }
  const budget = waits.find((wait) => wait.label.startsWith("budget "));
  if (budget !== undefined) {
    const inMs = Math.max(0, (budget.due_at?.getTime() ?? 0) - holdup.now_at.getTime());
    return {
      code: "budget",
      sentence: `It waits for its budget: all that is left is set aside for what others of its tree have under way (${budget.label}); it asks again in ${formatDuration(inMs)}.`,
      details,
      commands: [],
    };
  }
  const children = waits.filter((wait) => wait.key.startsWith("child:"));
  const signal = waits.find((wait) => wait.key.startsWith("signal:"));
  const due = waits.find((wait) => wait.due_at !== null);
  const inTime =
    due?.due_at == null
      ? ""
      : `; a timer moves it in ${formatDuration(Math.max(0, due.due_at.getTime() - holdup.now_at.getTime()))}`;
  if (children.length > 0) {
    const sentence = `It waits for ${children.length === 1 ? `its ${children[0]?.label}` : `${children.length} of its children`}${inTime}.`;
    return {
      code: "child",
      sentence,
      details,
      commands: children.slice(0, 3).map((c) => `longhaul runs why ${c.key.slice("child:".length)}`),
    };
  }
  if (signal !== undefined) {
    const name = signal.key.slice("signal:".length);
    return {
      code: "signal",
      sentence: `It waits for the signal "${name}"${inTime}.`,
      details,
      commands: [`longhaul signal ${run.runId} ${JSON.stringify(name)}`],
    };
  }
  return { code: "timer", sentence: `It waits for a timer (${due?.label ?? "?"})${inTime}.`, details, commands: [] };
}
