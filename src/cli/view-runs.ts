// Runs as people see them: lists, one run in full, what was done to it.
import { UNITS } from "../domain/exceeded.ts";
import type { Failure } from "../domain/failure.ts";
import type { Run, RunResult } from "../domain/run.ts";
import type { SpentBudget } from "../domain/spent-budget.ts";
import type { RunDetail, StepView, Why } from "../runtime/api.ts";
import { type Block, type Cell, fields, heading, line, table, toned } from "./blocks.ts";
import type { Cancelled } from "./finish.ts";
import { ago, between, brief, duration, failureLine, full, status, until } from "./show.ts";
import type { Signalled, Submitted } from "./submit.ts";

export function viewRuns(runs: readonly Run[]): Block[] {
  return [
    table(
      runs,
      [
        { title: "run", cell: (run) => run.runId },
        { title: "agent", flexible: true, cell: (run) => run.agent },
        { title: "status", cell: (run) => status(run.status) },
        { title: "created", cell: (run) => ago(run.createdAt) },
        {
          title: "took",
          align: "right",
          cell: (run) => (run.finishedAt === null ? "" : between(run.createdAt, run.finishedAt)),
        },
        { title: "reason", flexible: true, cell: (run) => run.reason ?? "" },
      ],
      "No runs. Submit one: longhaul runs submit <agent> --input '{}'",
    ),
  ];
}

export function viewRun(run: RunDetail): Block[] {
  const blocks: Block[] = [
    fields({
      run: run.runId,
      agent: run.agent,
      status:
        run.reason === null ? status(run.status) : { ...status(run.status), text: `${run.status}: ${run.reason}` },
      tenant: run.tenant,
      queue: run.queue,
      build: run.build,
      thread: run.threadId,
      parent: run.parentId,
      "forked from": run.forkedFrom,
      created: `${run.createdAt} (${ago(run.createdAt)})`,
      "not before": run.runAt,
      finished: run.finishedAt === null ? null : `${run.finishedAt} (took ${between(run.createdAt, run.finishedAt)})`,
      worker: run.workerId,
      epoch: String(run.epoch),
      cancel: run.cancelRequested && run.finishedAt === null ? toned("warn", "requested") : null,
      metadata: Object.keys(run.metadata).length === 0 ? null : brief(run.metadata),
      input: run.input === undefined || run.input === null ? null : full(run.input),
      ...resultFields(run.result),
    }),
  ];
  if (run.steps.length > 0) blocks.push(heading("Steps"), viewSteps(run.steps));
  if (run.waits.length > 0) blocks.push(heading("Waits for"), viewWaits(run));
  if (run.children.length > 0) blocks.push(heading("Children"), viewChildren(run));
  return blocks;
}

function viewSteps(steps: readonly StepView[]): Block {
  return table(
    steps,
    [
      { title: "#", align: "right", cell: (step) => String(step.seq) },
      { title: "step", flexible: true, cell: (step) => step.key },
      { title: "kind", cell: (step) => step.kind },
      { title: "status", cell: (step) => status(step.status) },
      { title: "tries", align: "right", cell: (step) => (step.attempts === 0 ? "" : String(step.attempts)) },
      { title: "took", align: "right", cell: (step) => (step.durationMs === null ? "" : duration(step.durationMs)) },
      {
        title: "value",
        flexible: true,
        cell: (step) => (step.failure ? toned("bad", failureLine(step.failure)) : brief(step.value)),
      },
    ],
    "",
  );
}

function viewWaits(run: RunDetail): Block {
  return table(
    run.waits,
    [
      { title: "what", flexible: true, cell: (wait) => wait.label },
      { title: "key", flexible: true, cell: (wait) => toned("dim", wait.key) },
      { title: "due", cell: (wait) => (wait.dueAt === null ? "" : until(wait.dueAt)) },
    ],
    "",
  );
}

function viewChildren(run: RunDetail): Block {
  return table(
    run.children,
    [
      { title: "run", cell: (child) => child.runId },
      { title: "agent", flexible: true, cell: (child) => child.agent },
      { title: "status", cell: (child) => status(child.status) },
    ],
    "",
  );
}

function resultFields(result: RunResult | null | undefined): Record<string, Cell | null> {
  switch (result?.status) {
    case undefined:
      return {};
    case "succeeded":
      return { output: full(result.output) };
    case "failed":
      return failedFields(result);
    case "cancelled":
      return { cancelled: result.reason ?? "without a reason" };
  }
}

function failedFields({ failure, partial }: Extract<RunResult, { status: "failed" }>): Record<string, Cell | null> {
  const budget = spentBudget(failure);
  return {
    failure: toned("bad", failureLine(failure)),
    limit: budget === null ? null : `${budget.limit} ${UNITS[budget.dimension]} (budget ${budget.budgetId})`,
    spent: budget === null ? null : `${budget.spent} ${UNITS[budget.dimension]}`,
    partial: partial === undefined || partial === null ? null : full(partial),
  };
}

/** The budget that ended it, also where the agent's code put the error into one of its own. */
function spentBudget(failure: Failure): SpentBudget | null {
  for (let one: Failure | undefined = failure; one !== undefined; one = one.cause) {
    if (one.details !== undefined) return one.details;
  }
  return null;
}

export function viewWhy(why: Why): Block[] {
  const blocks: Block[] = [line(status(why.status), why.sentence)];
  if (why.commands.length > 0)
    blocks.push(heading("What would move it"), ...why.commands.map((text) => line(`  ${text}`)));
  return blocks;
}

export function viewSubmitted({ runId, threadId, existing, result }: Submitted): Block[] {
  const ended = result === undefined ? {} : { status: status(result.status), ...resultFields(result) };
  return [fields({ run: existing ? `${runId} (was already there)` : runId, thread: threadId, ...ended })];
}

const verdicts = {
  cancelled: "is cancelled.",
  requested: "will be cancelled by the worker that runs it, within a second.",
  finished: "had ended before: nothing to cancel.",
} as const;

export function viewCancelled({ runId, verdict }: Cancelled): Block[] {
  return [line(runId, verdicts[verdict])];
}

export function viewSignalled({ runId, signal }: Signalled): Block[] {
  return [line(`Signal ${signal} sent to ${runId}.`)];
}
