// The contract between an agent and the runtime: what an agent is, and what its code gets to call.
import type { LanguageModelV3 } from "@ai-sdk/provider";
import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Verdict } from "../domain/approval.ts";
import type { Band } from "../domain/band.ts";
import type { BudgetDeclaration, BudgetView } from "../domain/budget.ts";
import type { DurationInput } from "../domain/duration.ts";
import type { RetryPolicy } from "../domain/retry.ts";
import type { RunNeeds } from "../domain/run-needs.ts";
import type { TokenPart } from "../domain/tokens.ts";
import type { AnyBatcher, Batcher } from "./ai/batcher.ts";
import type { AiSettings, BatchOptions, EmbedOptions, ModelOptions, ToolsOptions } from "./ai/options.ts";

/** Hard limits of one run. Running time counts, waiting is free. */
export interface AgentLimits {
  /** Children this run may spawn, itself. Default 1,000. */
  readonly children?: number;
  /** How deep a tree below this run may grow. Default 8. */
  readonly depth?: number;
  /** Runs in the whole tree. Default 10,000. */
  readonly treeSize?: number;
  /** Running time over all claims, in minutes. Default unlimited. */
  readonly activeMinutes?: number;
  /** Journal entries. Default 50,000. */
  readonly steps?: number;
}

/** How many runs of an agent may be in flight at once. Those that wait, for a person or a timer, do not count. */
export interface AgentConcurrency {
  /** In the whole installation. Default unlimited. */
  readonly limit?: number;
  /**
   * Of one tenant, for each `concurrencyKey` its submits name; those that name none share one more. Default unlimited without a key,
   * one at a time with one.
   */
  readonly perKey?: number;
}

/** Which of a tenant's agents workers serve first. One run in eight is taken from the other end, so that no band starves. */
export type { Band } from "../domain/band.ts";

/** A declared agent. `In` is what a submitter gives (before the schema's defaults and transforms), `Out` what a run gives back. */
export interface Agent<In = unknown, Out = unknown> {
  readonly name: string;
  readonly description: string | null;
  readonly schema: StandardSchemaV1 | null;
  readonly limits: AgentLimits;
  readonly budget: BudgetDeclaration | null;
  readonly queue: string;
  readonly concurrency: AgentConcurrency;
  readonly band: Band | null;
  readonly dedupe: { readonly ttl: DurationInput } | null;
  readonly needs: RunNeeds | null;
  readonly batchers: readonly AnyBatcher[];
  readonly run: (ctx: Ctx, input: never) => Promise<Out> | Out;
  /** Never present: carries the type of the input. */
  readonly "~input"?: In;
}

// biome-ignore lint/suspicious/noExplicitAny: an agent of whatever input and output
export type AnyAgent = Agent<any, any>;
export type AgentInput<A> = A extends Agent<infer I, unknown> ? I : never;
export type AgentOutput<A> = A extends { readonly run: (...given: never[]) => infer R } ? Awaited<R> : never;

export interface StepOptions {
  /** What the step depends on: part of its identity, so that a change of code is noticed on replay. */
  readonly input?: unknown;
  /** Attempts and backoff. Default 3 attempts, 500 ms, doubling, 20 % jitter. `false`: one attempt. */
  readonly retry?: Partial<RetryPolicy> | number | false;
  /** After this long the step's `abort` fires and the attempt counts as failed. Default none. */
  readonly timeout?: DurationInput;
}

/** What the body of a step gets. */
export interface StepInfo {
  /** Fires on cancel, on the step's time-out, when the lease is lost, and when the worker must stop. Hand it to `fetch`. */
  readonly abort: AbortSignal;
  /** 1 for the first attempt; survives crashes. */
  readonly attempt: number;
  /** The same for every attempt of this step of this run: give it to whoever can deduplicate. */
  readonly idempotencyKey: string;
  /** What the step writes here is seen at once by whoever streams the run. */
  readonly stream: StepStream;
}

/**
 * A message in the making. It is best effort: who comes late gets what there is so far, and a new attempt begins anew. What counts is
 * the step's value; where that is not the text that was written, the text is recorded beside it.
 */
export interface StepStream {
  /** Returns at once, whoever reads how slowly. @throws VALUE_NOT_SERIALIZABLE */
  write(part: TokenPart): void;
  /** What was written so far is void: readers drop it as soon as something new comes. */
  reset(): void;
}

export interface WaitOptions {
  /** After this long the wait ends without an answer. */
  readonly timeout?: DurationInput;
}

export interface ApprovalOptions {
  /** After this long the verdict is `{ approved: false, status: "expired" }`. Default: never. */
  readonly expires?: DurationInput;
}

export interface SpawnOptions {
  readonly queue?: string;
  /** Runs of one agent with the same key, within the tenant, run as many at once as the agent's `concurrency.perKey` says; else one. */
  readonly concurrencyKey?: string;
  readonly priority?: number;
  /** Goes on without its parent: not awaited at the end, not cancelled with it. Default false. */
  readonly detached?: boolean;
  /** A slice of what this run may spend, never more. The stricter of this and the child's own holds. */
  readonly budget?: BudgetDeclaration;
}

export interface MapOptions {
  /** At most this many at a time. Default all at once; the queue's caps hold anyway. */
  readonly concurrency?: number;
}

/** A running child. `result()` waits for it, holding no slot. */
export interface Child<Out> {
  readonly runId: string;
  /** @throws CHILD_FAILED, CHILD_CANCELLED */
  result(): Promise<Out>;
}

/** SQL inside `ctx.transaction`, in the transaction that records the step. */
export interface Sql {
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

export interface Ctx {
  readonly runId: string;
  readonly threadId: string | null;
  readonly tenant: string;
  readonly agent: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  /** What the submit kept in `options`: over HTTP, LangGraph's `config` and `context` among others. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Fires on cancel, lost lease and hard stop. */
  readonly abort: AbortSignal;
  readonly log: Log;
  /** The thread's durable state, shared by its runs. Without a thread it lives as long as the run. */
  readonly state: State;

  /** Runs `body` and records its outcome once. A recorded step never runs again; a body may, if the process dies before the record. */
  step<T>(name: string, body: (step: StepInfo) => Promise<T> | T): Promise<T>;
  step<T>(name: string, options: StepOptions, body: (step: StepInfo) => Promise<T> | T): Promise<T>;
  /** Runs an exported function of a module in a pool of threads, recorded like a step: parsing and embedding do not stall streams. */
  cpu<T>(
    name: string,
    module: string | URL,
    input?: unknown,
    options?: StepOptions & { readonly export?: string },
  ): Promise<T>;
  /**
   * A language model for the AI SDK (`generateText`, `streamText`, agents; version 6 and 7): an alias of the configuration, or
   * `provider/model`. Every call is a step, recorded once; retries, quotas, budgets and failover are the gateway's.
   */
  model(id: string, options?: ModelOptions): LanguageModelV3;
  /** The same tools, each execution a step named by the model's id of the call. For the AI SDK and MCP; see ToolOptions. */
  tools<T extends Readonly<Record<string, object>>>(tools: T, options?: ToolsOptions<Extract<keyof T, string>>): T;
  /** The vector of a text, or of each of many: in requests of a hundred, each a step. */
  embed<V extends string | readonly string[]>(
    model: string,
    values: V,
    options?: EmbedOptions,
  ): Promise<V extends string ? number[] : number[][]>;
  /**
   * One small task, answered together with those of other runs of the tenant, in one request. A step like any; it costs its share. The
   * batcher is one of those that agents list, or its name.
   */
  batch<Item, Output>(batcher: Batcher<Item, Output>, item: Item, options?: BatchOptions): Promise<Output>;
  batch<Output = unknown>(batcher: string, item: unknown, options?: BatchOptions): Promise<Output>;
  /** What the AI SDK's functions take besides: the run's signal, and ids that are the same in a replay. `...ctx.ai` */
  readonly ai: AiSettings;
  /** The user's SQL and the record of the step in one transaction: takes effect exactly once. */
  transaction<T>(name: string, body: (sql: Sql) => Promise<T> | T): Promise<T>;

  /** Costs a row while it lasts. */
  sleep(duration: DurationInput): Promise<void>;
  sleepUntil(moment: Date | string | number): Promise<void>;
  /** Waits for a signal by name. One sent before anybody waits is kept. */
  signal<T = unknown>(name: string): Promise<T>;
  /** With a time-out: `undefined` when it passes. Which of the two it was is recorded. */
  signal<T = unknown>(name: string, options: WaitOptions): Promise<T | undefined>;
  /** Asks a person. Resolved exactly once; the answer may edit the arguments. */
  approval<T = unknown>(name: string, args: T, options?: ApprovalOptions): Promise<Verdict<T>>;
  /** LangGraph's interrupt: shows a value, waits for any answer (`command.resume`). */
  interrupt<T = unknown>(value: unknown): Promise<T>;

  spawn<In, Out>(agent: Agent<In, Out> | string, input: In, options?: SpawnOptions): Promise<Child<Out>>;
  /** One child per item, results in the order of the items. Fails with the first child that fails; the others are cancelled then. */
  map<In, Out>(name: string, items: readonly In[], agent: Agent<In, Out>, options?: MapOptions): Promise<Out[]>;
  /** The same with a function: branches of this run, each with a scope of its own. */
  map<Item, Out>(
    name: string,
    items: readonly Item[],
    branch: (ctx: Ctx, item: Item, index: number) => Promise<Out> | Out,
    options?: MapOptions,
  ): Promise<Out[]>;
  /** Named branches at once, each with a scope of its own. */
  all<B extends Record<string, (ctx: Ctx) => unknown>>(
    branches: B,
  ): Promise<{ [K in keyof B]: Awaited<ReturnType<B[K]>> }>;
  /** The first branch to settle wins; which one is recorded. */
  race<B extends Record<string, (ctx: Ctx) => unknown>>(
    branches: B,
  ): Promise<{ [K in keyof B]: { readonly winner: K; readonly value: Awaited<ReturnType<B[K]>> } }[keyof B]>;

  /** Stores a state that makes everything before it unnecessary. Recovery starts there: read it back with `restored`. */
  checkpoint(state: unknown): Promise<void>;
  /** The state of the last checkpoint, if this run has one. Call it first thing in a loop that checkpoints. */
  restored<T>(): T | undefined;
  /** A custom event for whoever streams this run. */
  emit(name: string, payload?: unknown): void;

  /** What may be spent, is spent and is left of the nearest budget above this run, as of now, recorded; null when there is none. */
  budget(): Promise<BudgetView | null>;
  /** What this run has so far: its outcome keeps the last one if the run fails, also because a budget is spent. */
  partial(value: unknown): void;

  /** Milliseconds since 1970, recorded. */
  now(): number;
  /** 0 ≤ x < 1, recorded. */
  random(): number;
  /** A UUID, recorded. */
  uuid(): string;
}

export interface State {
  get<T = unknown>(): T | undefined;
  set(value: unknown): Promise<void>;
}

/** Lines that are written once: a replayed line is dropped. */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}
