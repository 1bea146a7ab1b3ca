// The shapes of request bodies, as LangGraph's clients send them. Unknown members are ignored; null stands for absent.

import * as z from "zod";
import { COST_GROUPS } from "../domain/costs.ts";
import {
  CHARGES_PAGE_MAX,
  COST_ROWS_MAX,
  DURATION_MS_MAX,
  METADATA_BYTES_MAX,
  METADATA_KEYS_MAX,
  PAGE_SIZE_DEFAULT,
  PAGE_SIZE_MAX,
  REASON_CHARS_MAX,
  TENANTS_LISTED_MAX,
} from "../domain/limits.ts";
import { fitsJsonb } from "../domain/text.ts";
import { RUN_STATUSES } from "./langgraph.ts";
import { isUuid } from "./request.ts";

export const STREAM_MODES = [
  "values",
  "updates",
  "custom",
  "tasks",
  "debug",
  "messages",
  "messages-tuple",
  "events",
  "checkpoints",
  "tools",
] as const;
export type StreamMode = (typeof STREAM_MODES)[number];

const uuid = z
  .string()
  .refine(isUuid, "expected a UUID")
  .transform((text) => text.toLowerCase());

/** What PostgreSQL's jsonb cannot hold: NUL and halves of surrogate pairs, in keys and values. */
function isStorable(value: unknown): boolean {
  return fitsJsonb(JSON.stringify(value) ?? "");
}

/** Any JSON value, or nothing. */
const anything = z.unknown().optional();
const NOT_STORABLE = "texts must not contain NUL or unpaired surrogates";
const object = z.record(z.string(), z.unknown()).refine(isStorable, NOT_STORABLE);

export const metadata = object
  .refine((value) => Object.keys(value).length <= METADATA_KEYS_MAX, `at most ${METADATA_KEYS_MAX} members`)
  .refine(
    (value) => Buffer.byteLength(JSON.stringify(value)) <= METADATA_BYTES_MAX,
    `at most ${METADATA_BYTES_MAX} bytes as JSON`,
  );

const nodes = z.union([z.literal("*"), z.array(z.string())]);

export const streamModes = z
  .union([z.enum(STREAM_MODES), z.array(z.enum(STREAM_MODES)).min(1)])
  .transform((given) => [...new Set([given].flat())]);

export const runCreate = z.object({
  assistant_id: z.string().min(1).max(200),
  input: anything,
  command: z.object({ resume: anything, update: anything, goto: anything }).nullish(),
  config: object.nullish(),
  context: z.unknown().optional().refine(isStorable, NOT_STORABLE),
  metadata: metadata.nullish(),
  checkpoint: anything,
  checkpoint_id: z.string().nullish(),
  interrupt_before: nodes.nullish(),
  interrupt_after: nodes.nullish(),
  stream_mode: streamModes.nullish(),
  stream_subgraphs: z.boolean().nullish(),
  stream_resumable: z.boolean().nullish(),
  webhook: z.string().nullish(),
  multitask_strategy: z.enum(["reject", "enqueue", "interrupt", "rollback"]).nullish(),
  on_disconnect: z.enum(["cancel", "continue"]).nullish(),
  on_completion: z.enum(["delete", "keep", "complete", "continue"]).nullish(),
  if_not_exists: z.enum(["create", "reject"]).nullish(),
  after_seconds: z
    .number()
    .min(0)
    .max(DURATION_MS_MAX / 1_000)
    .nullish(),
  /** Ours: within the tenant, 0 first. */
  priority: z.number().int().min(0).max(32_767).nullish(),
  concurrency_key: z.string().nullish(),
  // checked where all budgets are
  budget: z.record(z.string(), z.unknown()).nullish(),
  start_within_seconds: z
    .number()
    .min(0)
    .max(DURATION_MS_MAX / 1_000)
    .nullish(),
  dedupe_seconds: z
    .number()
    .min(0)
    .max(DURATION_MS_MAX / 1_000)
    .nullish(),
  durability: z.enum(["sync", "async", "exit"]).nullish(),
  feedback_keys: z.array(z.string()).nullish(),
});
export type RunCreate = z.output<typeof runCreate>;

/** LangGraph's client sends the members of a batch as it knows them itself: in camel case. */
function snakeCased(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const renamed = Object.entries(value).map(([name, member]) => [snakeCase(name), member] as const);
  return { ...Object.fromEntries(renamed), ...value };
}

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export const runBatch = z.array(z.preprocess(snakeCased, runCreate)).min(1);

export const threadCreate = z.object({
  thread_id: uuid.nullish(),
  metadata: metadata.nullish(),
  if_exists: z.enum(["raise", "do_nothing"]).nullish(),
  supersteps: z.array(z.unknown()).nullish(),
  ttl: anything,
});

export const historyQuery = z.object({ limit: z.number().int().min(1).max(1_000).nullish(), before: anything });

export const assistantSearch = z.object({
  graph_id: z.string().nullish(),
  name: z.string().nullish(),
  metadata: object.nullish(),
  limit: z.number().int().min(1).max(1_000).nullish(),
  offset: z.number().int().min(0).nullish(),
  sort_by: z.enum(["assistant_id", "graph_id", "name", "created_at", "updated_at"]).nullish(),
  sort_order: z.enum(["asc", "desc"]).nullish(),
  select: z.array(z.string()).nullish(),
});

const wholeNumber = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
/** `1` and `true`; `0` and `false`. Anything else is refused rather than read as true. */
const flag = z.enum(["0", "1", "false", "true"]).transform((text) => text === "1" || text === "true");

export const page = { limit: wholeNumber(1, PAGE_SIZE_MAX).optional(), offset: wholeNumber(0, 1_000_000).optional() };

export const threadRunsQuery = z.object({
  ...page,
  status: z.enum(RUN_STATUSES).optional(),
  select: z.array(z.string()).optional(),
});

export const runsQuery = z.object({
  ...page,
  status: z.enum(RUN_STATUSES).optional(),
  assistant_id: z.string().optional(),
  thread_id: uuid.optional(),
  before: uuid.optional(),
});

export const nativeRunsQuery = z.object({
  ...page,
  status: z.array(z.enum(["queued", "running", "waiting", "paused", "succeeded", "failed", "cancelled"])).optional(),
  agent: z.string().optional(),
  threadId: uuid.optional(),
  parentId: uuid.optional(),
  before: uuid.optional(),
});

/** Names and bounds are checked where the figure is made. */
export const scaleQuery = z.object({
  queue: z.array(z.string()).min(1).max(100).optional(),
  build: z.string().optional(),
  min: wholeNumber(0, 10_000).optional(),
  max: wholeNumber(1, 10_000).optional(),
  slots: wholeNumber(1, 10_000).optional(),
  slaMs: wholeNumber(1, 86_400_000).optional(),
  target: wholeNumber(1, 10_000).optional(),
});

export const joinQuery = z.object({
  cancel_on_disconnect: flag.optional(),
  stream_mode: z.array(z.enum(STREAM_MODES)).min(1).optional(),
  /** Of the journal's own stream: also what steps are writing. */
  tokens: flag.optional(),
});

export const cancelQuery = z.object({ wait: flag.optional(), action: z.enum(["interrupt", "rollback"]).optional() });

export const cancelBody = z.object({ reason: z.string().min(1).max(REASON_CHARS_MAX).nullish() });

export const signalBody = z.object({ name: z.string(), payload: anything });

export const forkBody = z.object({ beforeStep: z.string().nullish(), input: anything });

export const answerBody = z.object({ comment: z.string().max(10_000).nullish(), args: anything });

export const resumeBody = z.object({ value: anything });

export const approvalsQuery = z.object({
  status: z.enum(["pending", "approved", "denied", "expired", "cancelled"]).optional(),
  runId: uuid.optional(),
  limit: wholeNumber(1, PAGE_SIZE_MAX).optional(),
});

const duration = z.union([z.string(), z.number()]);

/** Strict, unlike the others: a misspelt `scopes` or `expires` would make a key that can do more, or for longer. */
export const keyCreate = z.strictObject({
  tenant: z.string(),
  plan: z.string().nullish(),
  name: z.string().nullish(),
  scopes: z.array(z.string()).nullish(),
  expires: duration.nullish(),
});

export const keyRotate = z.strictObject({ grace: duration.nullish() });

export const keysQuery = z.object({ ...page, tenant: z.string().optional() });

type Present<T> = { [Name in keyof T]?: Exclude<T[Name], null | undefined> };

/** The members that say something. */
export function withoutAbsent<T extends object>(given: T): Present<T> {
  const present = Object.entries(given).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(present) as Present<T>;
}
export const tenantsQuery = z.object({
  plan: z.string().optional(),
  paused: flag.optional(),
  limit: wholeNumber(1, TENANTS_LISTED_MAX).optional(),
  after: z.string().optional(),
});

export const tenantChange = z.object({ plan: z.string().nullish(), paused: z.boolean().nullish() });

const moment = z
  .string()
  .refine((text) => !Number.isNaN(Date.parse(text)), "expected a moment such as 2030-01-31T12:00:00Z")
  .transform((text) => new Date(text));

const deadFilter = { agent: z.string().optional(), queue: z.string().optional(), code: z.string().optional() };

export const deadQuery = z.object({
  ...deadFilter,
  since: moment.optional(),
  limit: wholeNumber(1, PAGE_SIZE_MAX).optional(),
  before: uuid.optional(),
  paused: flag.optional(),
});

/** One request deals with a page of letters; whoever has more asks again. */
export const deadBody = z.object({
  ...deadFilter,
  since: moment.optional(),
  limit: z.number().int().min(1).max(PAGE_SIZE_MAX).default(PAGE_SIZE_DEFAULT),
});

export const deadEdit = z.object({ input: anything });

/** A moment, or how far back from now. */
const since = z.union([moment, z.string().min(1)]);
const reportPeriod = {
  since: since.optional(),
  until: moment.optional(),
  limit: wholeNumber(1, COST_ROWS_MAX).optional(),
};

export const costsQuery = z.object({
  ...reportPeriod,
  by: z.enum(COST_GROUPS).optional(),
  report: z.enum(["lines", "concentration"]).optional(),
});

export const chargesQuery = z.object({
  ...reportPeriod,
  limit: wholeNumber(1, CHARGES_PAGE_MAX).optional(),
  pending: flag.optional(),
  after: uuid.optional(),
});

export const chargesAck = z.object({ runIds: z.array(uuid).min(1).max(CHARGES_PAGE_MAX) });
