// The `ctx` of one scope: turns what an agent's code asks for into the engine's verbs.
import type { Verdict } from "../domain/approval.ts";
import type { BudgetView } from "../domain/budget.ts";
import { durationMs } from "../domain/duration.ts";
import { fail } from "../domain/errors.ts";
import { checkKey, checkName } from "../domain/key.ts";
import { resolveRetry } from "../domain/retry.ts";
import { encodeValue } from "../domain/value.ts";
import { spawnChildren } from "../engine/children.ts";
import type { Execution } from "../engine/execution.ts";
import { newId } from "../engine/ids.ts";
import { insideStep } from "../engine/inside-step.ts";
import { checkpoint, emit, recordPartial, recordValue, setState } from "../engine/record.ts";
import type { Scope } from "../engine/scope.ts";
import { performStep } from "../engine/step.ts";
import { performTransaction } from "../engine/transaction.ts";
import { ask, sleep, waitForSignal } from "../engine/wait.ts";
import { viewBudget } from "../store/budget-view.ts";
import { batch } from "./ai/batch.ts";
import type { AnyBatcher } from "./ai/batcher.ts";
import { embed } from "./ai/embed.ts";
import { AI_HOST, type AiHost, type ModelGateway } from "./ai/host.ts";
import { DurableModel } from "./ai/model.ts";
import type { AiSettings, BatchOptions, EmbedOptions, ModelOptions, ToolsOptions } from "./ai/options.ts";
import { aiSettings } from "./ai/settings.ts";
import type { StreamFailures } from "./ai/stream-failures.ts";
import { durableTools } from "./ai/tools.ts";
import { allBranches, mapAgents, mapBranches, raceBranches } from "./branches.ts";
import { ChildRun, childSpec } from "./child.ts";
import { runOnThread } from "./cpu.ts";
import type {
  Agent,
  AnyAgent,
  ApprovalOptions,
  Child,
  Ctx,
  Log,
  MapOptions,
  SpawnOptions,
  Sql,
  State,
  StepInfo,
  StepOptions,
  WaitOptions,
} from "./ctx.ts";
import { verdictOf } from "./verdict.ts";

/** Shared by the contexts of one execution. */
export interface RunState {
  /** Checkpoints stored so far. */
  generation: number;
  restoredAsked: boolean;
  /** Something durable was asked for before `restored()`. */
  began: string | null;
  /** Of this process; null where it was given none. */
  readonly gateway: ModelGateway | null;
  readonly streams: StreamFailures;
}

type StepBody<T> = (step: StepInfo) => Promise<T> | T;

export class Context implements Ctx {
  readonly #execution: Execution;
  readonly #scope: Scope;
  readonly #run: RunState;
  readonly log: Log;
  readonly state: State;

  constructor(execution: Execution, scope: Scope, run: RunState) {
    this.#execution = execution;
    this.#scope = scope;
    this.#run = run;
    this.log = this.#makeLog();
    this.state = this.#makeState();
  }

  /** The engine's side of a context, for what is built on it. */
  static partsOf(ctx: Ctx): { readonly execution: Execution; readonly scope: Scope } {
    if (!(ctx instanceof Context)) throw new TypeError("this is no ctx of a running agent");
    return { execution: ctx.#execution, scope: ctx.#scope };
  }

  get runId(): string {
    return this.#execution.runId;
  }
  get threadId(): string | null {
    return this.#execution.claim.thread_id;
  }
  get tenant(): string {
    return this.#execution.claim.tenant_id;
  }
  get agent(): string {
    return this.#execution.claim.agent;
  }
  get metadata(): Readonly<Record<string, unknown>> {
    return this.#execution.claim.metadata;
  }
  get options(): Readonly<Record<string, unknown>> {
    return this.#execution.claim.options;
  }
  get abort(): AbortSignal {
    return this.#scope.abort;
  }

  step<T>(name: string, ...rest: [StepBody<T>] | [StepOptions, StepBody<T>]): Promise<T> {
    const [options, body] = rest.length === 1 ? [{}, rest[0]] : rest;
    // Not an async function, as little as `performStep`.
    try {
      return this.#step(name, options, body);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async cpu<T>(
    name: string,
    module: string | URL,
    input?: unknown,
    options: StepOptions & { readonly export?: string } = {},
  ): Promise<T> {
    return this.#step(name, { input, ...options }, ({ abort }) =>
      runOnThread<T>(module, options.export ?? "default", input, abort),
    );
  }

  model(id: string, options: ModelOptions = {}): DurableModel {
    return new DurableModel(this[AI_HOST](), id, options);
  }

  tools<T extends Readonly<Record<string, object>>>(tools: T, options: ToolsOptions<Extract<keyof T, string>> = {}): T {
    return durableTools(this[AI_HOST](), tools, options);
  }

  async embed<V extends string | readonly string[]>(
    model: string,
    values: V,
    options: EmbedOptions = {},
  ): Promise<V extends string ? number[] : number[][]> {
    const vectors = await embed(this[AI_HOST](), model, typeof values === "string" ? [values] : values, options);
    return (typeof values === "string" ? vectors[0] : vectors) as V extends string ? number[] : number[][];
  }

  // biome-ignore lint/suspicious/noExplicitAny: the two overloads of the interface are told apart here
  async batch(batcher: AnyBatcher | string, item: unknown, options: BatchOptions = {}): Promise<any> {
    return batch(this[AI_HOST](), typeof batcher === "string" ? batcher : batcher.name, item, options);
  }

  get ai(): AiSettings {
    this.#begin("ai", "ai");
    return aiSettings(this[AI_HOST]());
  }

  async transaction<T>(name: string, body: (sql: Sql) => Promise<T> | T): Promise<T> {
    this.#begin("transaction", name);
    return (await performTransaction(this.#execution, this.#scope, checkName("step", name), body)) as T;
  }

  async sleep(duration: Parameters<Ctx["sleep"]>[0]): Promise<void> {
    this.#begin("sleep", "sleep");
    await sleep(this.#execution, this.#scope, { timeoutMs: durationMs(duration) });
  }

  async sleepUntil(moment: Date | string | number): Promise<void> {
    this.#begin("sleepUntil", "sleep");
    const untilMs = new Date(moment).getTime();
    if (!Number.isFinite(untilMs))
      throw fail("DURATION_INVALID", { input: String(moment), reason: "it is not a moment in time" });
    await sleep(this.#execution, this.#scope, { untilMs });
  }

  async signal<T>(name: string, options: WaitOptions = {}): Promise<T> {
    this.#begin("signal", name);
    const timeoutMs = options.timeout === undefined ? null : durationMs(options.timeout);
    const resolution = await waitForSignal(this.#execution, this.#scope, checkKey("signal name", name), timeoutMs);
    return (resolution.by === "message" ? resolution.value : undefined) as T;
  }

  async approval<T>(name: string, args: T, options: ApprovalOptions = {}): Promise<Verdict<T>> {
    this.#begin("approval", name);
    const timeoutMs = options.expires === undefined ? null : durationMs(options.expires);
    const request = encodeValue(args);
    const resolution = await ask(
      this.#execution,
      this.#scope,
      "approval",
      checkKey("approval name", name),
      request,
      timeoutMs,
    );
    return verdictOf(resolution, args);
  }

  async interrupt<T>(value: unknown): Promise<T> {
    this.#begin("interrupt", "interrupt");
    const resolution = await ask(this.#execution, this.#scope, "interrupt", "interrupt", encodeValue(value), null);
    return (resolution.by === "message" ? (resolution.value as { value: unknown }).value : undefined) as T;
  }

  async spawn<In, Out>(agent: Agent<In, Out> | string, input: In, options: SpawnOptions = {}): Promise<Child<Out>> {
    const name = typeof agent === "string" ? agent : agent.name;
    this.#begin("spawn", name);
    const spec = await childSpec(agent as AnyAgent | string, input, options);
    const [runId] = await spawnChildren(this.#execution, this.#scope, `spawn ${name}`, [spec]);
    return new ChildRun<Out>(this.#execution, this.#scope, runId as string, name);
  }

  // biome-ignore lint/suspicious/noExplicitAny: the two overloads of the interface are told apart here
  async map(name: string, items: readonly any[], work: any, options: MapOptions = {}): Promise<any[]> {
    this.#begin("map", name);
    checkName("step", name);
    if (typeof work !== "function")
      return mapAgents(this.#execution, this.#scope, name, items, work as AnyAgent, options);
    return mapBranches(this.#scope, name, items, (scope, item, index) => work(this.#in(scope), item, index), options);
  }

  async all<B extends Record<string, (ctx: Ctx) => unknown>>(
    branches: B,
  ): Promise<{ [K in keyof B]: Awaited<ReturnType<B[K]>> }> {
    this.#begin("all", "all");
    const result = await allBranches(this.#scope, branches, (scope) => this.#in(scope));
    return result as { [K in keyof B]: Awaited<ReturnType<B[K]>> };
  }

  async race<B extends Record<string, (ctx: Ctx) => unknown>>(
    branches: B,
  ): Promise<{ [K in keyof B]: { readonly winner: K; readonly value: Awaited<ReturnType<B[K]>> } }[keyof B]> {
    this.#begin("race", "race");
    return (await raceBranches(this.#scope, branches, (scope) => this.#in(scope))) as never;
  }

  async checkpoint(state: unknown): Promise<void> {
    this.#outside("checkpoint");
    if (this.#run.began !== null && !this.#run.restoredAsked)
      throw fail("CHECKPOINT_NOT_RESTORED", { key: this.#run.began });
    this.#run.generation = await checkpoint(this.#execution, this.#run.generation, state);
  }

  restored<T>(): T | undefined {
    if (this.#run.began !== null && this.#execution.replay.hasCheckpoint)
      throw fail("CHECKPOINT_NOT_RESTORED", { key: this.#run.began });
    if (this.#run.began === null) this.#run.restoredAsked = true;
    return this.#execution.replay.checkpoint as T | undefined;
  }

  emit(name: string, payload?: unknown): void {
    emit(this.#execution, this.#scope, checkKey("event name", name), payload, insideStep.getStore()?.key ?? null);
  }

  async budget(): Promise<BudgetView | null> {
    this.#begin("budget", "budget");
    const { claim, owner } = this.#execution;
    const spec = {
      name: "budget",
      input: null,
      retry: resolveRetry(undefined),
      timeoutMs: null,
      counted: false,
      sealed: true,
      body: () => viewBudget(owner.committer.db, claim.budget_id),
    };
    return (await performStep(this.#execution, this.#scope, spec)) as BudgetView | null;
  }

  partial(value: unknown): void {
    this.#outside("partial");
    recordPartial(this.#execution, this.#scope, value);
  }

  now(): number {
    return this.#value("now", () => this.#execution.owner.clock.now()) as number;
  }

  random(): number {
    return this.#value("random", () => Math.random()) as number;
  }

  uuid(): string {
    return this.#value("uuid", () => newId()) as string;
  }

  [AI_HOST](): AiHost {
    return {
      execution: this.#execution,
      scope: this.#scope,
      gateway: this.#run.gateway,
      streams: this.#run.streams,
      begin: (verb, name) => this.#begin(verb, name),
      inside: (scope) => this.#in(scope),
    };
  }

  #in(scope: Scope): Context {
    return new Context(this.#execution, scope, this.#run);
  }

  #step<T>(name: string, options: StepOptions, body: StepBody<T>): Promise<T> {
    this.#begin("step", name);
    const spec = {
      name: checkName("step", name),
      input: options.input === undefined ? null : encodeValue(options.input),
      retry: resolveRetry(options.retry),
      timeoutMs: options.timeout === undefined ? null : durationMs(options.timeout),
      body,
    };
    return performStep(this.#execution, this.#scope, spec) as Promise<T>;
  }

  /** Inside a step's body there is nothing to replay: a fresh value, not recorded. */
  #value(name: string, make: () => unknown): unknown {
    if (insideStep.getStore() !== undefined) return make();
    return recordValue(this.#execution, this.#scope, name, make);
  }

  #outside(verb: string): void {
    const step = insideStep.getStore();
    if (step !== undefined) throw fail("NESTED_STEP", { verb, step: step.key });
  }

  /** Where every durable verb passes: not in a step's body, and not before a checkpoint has been looked at. */
  #begin(verb: string, name: string): void {
    this.#outside(verb);
    if (this.#run.restoredAsked) return;
    if (this.#execution.replay.hasCheckpoint) throw fail("CHECKPOINT_NOT_RESTORED", { key: name });
    this.#run.began ??= name;
  }

  #makeLog(): Log {
    const write =
      (level: "debug" | "info" | "warn" | "error") =>
      (message: string, fields: Record<string, unknown> = {}) => {
        if (this.#execution.stopping || !this.#execution.replay.done) return;
        this.#execution.owner.log(level, message, { runId: this.runId, agent: this.agent, ...fields });
      };
    return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
  }

  #makeState(): State {
    return {
      get: <T>() => this.#value("state", () => this.#execution.threadState) as T | undefined,
      set: async (value) => {
        this.#begin("state.set", "state");
        await setState(this.#execution, this.#scope, value);
      },
    };
  }
}
