// One tool call of a model, from its arguments to its recorded outcome: checked, approved, run as a step named by the call.
import { durationMs } from "../../domain/duration.ts";
import { fail, isLonghaulError } from "../../domain/errors.ts";
import { hashInput } from "../../domain/hash.ts";
import { CALL_ID_CHARS_MAX } from "../../domain/limits.ts";
import { encodeValue } from "../../domain/value.ts";
import { recordValue } from "../../engine/record.ts";
import { performStep, type StepSpec } from "../../engine/step.ts";
import { ask } from "../../engine/wait.ts";
import { canonicalJson } from "../../gateway/identity.ts";
import { runOnThread } from "../cpu.ts";
import { verdictOf } from "../verdict.ts";
import type { DurableTool } from "./declared-tool.ts";
import type { AiHost } from "./host.ts";

export interface ToolCall {
  /** The model's id of it. */
  readonly id: string;
  readonly args: unknown;
  /** They have been checked against the tool's schema, and are what it made of them. */
  readonly checked: boolean;
  /** What the tool gets beside its arguments: the AI SDK's options of the call. */
  readonly info: object;
}

type StepBody = StepSpec["body"];

/** Gives what the tool gave, or throws what it threw: the same in every replay. */
export async function callTool(host: AiHost, tool: DurableTool, call: ToolCall): Promise<unknown> {
  host.begin("tools", tool.name);
  const mark = markOf(call.id);
  const refused = (error: Error): Promise<unknown> => record(host, tool, mark, call.args, () => Promise.reject(error));
  const checked = call.checked ? { value: call.args } : await tool.schema.check(call.args);
  if ("problem" in checked) return refused(invalidArguments(tool.name, checked.problem));
  const approved = await approvedArgs(host, tool, call, mark, checked.value);
  if ("error" in approved) return refused(approved.error);
  const { args } = approved;
  if (tool.options.steps === true) return ofSteps(host, tool, call, mark, args);
  return record(host, tool, mark, args, async (step) => {
    const signals = [step.abort, ...signalOf(call.info)];
    const info = {
      ...call.info,
      toolCallId: call.id,
      abortSignal: signals.length === 1 ? step.abort : AbortSignal.any(signals),
      idempotencyKey: step.idempotencyKey,
    };
    const { module } = tool.options;
    const output =
      tool.options.cpu === true && module !== undefined
        ? await runOnThread(module, tool.options.export ?? "default", args, step.abort)
        : await lastOf(tool.execute(args, info));
    return fitting(tool, output);
  });
}

/** A call that cannot be made has its record too: whoever reads the run sees what became of it. */
export function refuseCall(host: AiHost, name: string, id: string, error: Error): Promise<unknown> {
  host.begin("tools", name);
  return performStep(host.execution, host.scope, {
    name,
    mark: markOf(id),
    input: null,
    retry: ONE_ATTEMPT,
    timeoutMs: null,
    body: () => Promise.reject(error),
  });
}

export function invalidArguments(tool: string, problem: string): Error {
  return fail("TOOL_ARGUMENTS_INVALID", { tool, problem });
}

const ONE_ATTEMPT = { maxAttempts: 1, initialMs: 0, factor: 1, maxMs: 0, jitter: 0 };

function record(host: AiHost, tool: DurableTool, mark: string, args: unknown, body: StepBody): Promise<unknown> {
  return performStep(host.execution, host.scope, {
    name: tool.name,
    mark,
    // Whatever the tool's schema has made of them, it is only compared.
    input: canonicalJson(args),
    retry: tool.retry,
    timeoutMs: tool.timeoutMs,
    body,
  });
}

/** The execute function is code of the run: its own steps are recorded as they come, and at the end what it gave. */
async function ofSteps(host: AiHost, tool: DurableTool, call: ToolCall, mark: string, args: unknown): Promise<unknown> {
  const { segment, done } = host.scope.open(`${tool.name} steps`, mark);
  const inner = host.scope.child(segment);
  let outcome: { readonly value: unknown } | { readonly error: unknown };
  try {
    const info = { ...call.info, toolCallId: call.id, abortSignal: inner.abort, ctx: host.inside(inner) };
    outcome = { value: await lastOf(tool.execute(args, info)) };
  } catch (error) {
    inner.close();
    outcome = { error };
  }
  done();
  return record(host, tool, mark, args, () => {
    if ("error" in outcome) throw outcome.error;
    return fitting(tool, outcome.value);
  });
}

async function approvedArgs(
  host: AiHost,
  tool: DurableTool,
  call: ToolCall,
  mark: string,
  args: unknown,
): Promise<{ readonly args: unknown } | { readonly error: Error }> {
  if (!(await needsApproval(host, tool, call, mark, args))) return { args };
  const { approvalExpires } = tool.options;
  const timeoutMs = approvalExpires === undefined ? null : durationMs(approvalExpires);
  const asked = encodeValue(args);
  const verdict = verdictOf(await ask(host.execution, host.scope, "approval", tool.name, asked, timeoutMs, mark), args);
  const { approved, status, edited, by, comment } = verdict;
  if (!approved) {
    const who = by === null ? "nobody answered in time" : `${by} denied it`;
    const why = comment === null ? who : `${who}: ${comment}`;
    return { error: fail("TOOL_DENIED", { tool: tool.name, why }, { details: { status, by, comment } }) };
  }
  if (!edited) return { args };
  const checked = await tool.schema.check(verdict.args);
  if ("value" in checked) return { args: checked.value };
  return { error: invalidArguments(tool.name, `as ${by ?? "somebody"} edited them, ${checked.problem}`) };
}

/** What a function decides is recorded: a replay must not ask where nobody was asked. */
async function needsApproval(
  { execution, scope }: AiHost,
  { name, options }: DurableTool,
  call: ToolCall,
  mark: string,
  args: unknown,
): Promise<boolean> {
  const { needsApproval: rule } = options;
  if (typeof rule !== "function") return rule === true;
  const needed = await rule(args as never, { ...call.info, toolCallId: call.id } as never);
  return recordValue(execution, scope, `approval of ${name} ${mark}`, () => needed) === true;
}

/** A tool may give preliminary results first: the last one counts. */
async function lastOf(given: unknown): Promise<unknown> {
  if (!isAsyncIterable(given)) return given;
  let last: unknown;
  for await (const value of given) last = value;
  return last;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

/** @throws TOOL_OUTPUT_TOO_LARGE, VALUE_NOT_SERIALIZABLE */
function fitting({ name, outputBytesMax }: DurableTool, output: unknown): unknown {
  try {
    encodeValue(output, { maxBytes: outputBytesMax });
    return output;
  } catch (error) {
    if (!isLonghaulError(error, "VALUE_TOO_LARGE")) throw error;
    throw fail("TOOL_OUTPUT_TOO_LARGE", { tool: name, maxBytes: outputBytesMax });
  }
}

/** Ids are the model's: part of a key as they are where that is possible, else by their hash. */
function markOf(id: string): string {
  return id.length <= CALL_ID_CHARS_MAX && /^[\x21-\x7e]+$/.test(id) ? id : `id-${hashInput(id)}`;
}

function signalOf(info: object): AbortSignal[] {
  const { abortSignal } = info as { abortSignal?: AbortSignal };
  return abortSignal === undefined ? [] : [abortSignal];
}
