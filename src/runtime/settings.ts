// Every setting: its flag, its environment variables, its place in the config file, its default, and what values it takes.
import {
  DRAIN_MS,
  LEASE_MS,
  RETENTION_MS_MIN,
  SLA_MS,
  STALL_MS,
  WORKER_SLOTS_DEFAULT,
  WORKER_SLOTS_MAX,
} from "../domain/limits.ts";
import type { RetentionConfig } from "./retention.ts";
import {
  type Check,
  checkQueue,
  checkTenant,
  choice,
  count,
  databaseUrl,
  keepTime,
  list,
  port,
  processes,
  text,
  unfinishedCount,
  webUrl,
  yesOrNo,
} from "./setting-checks.ts";

export interface SettingSpec<Value> {
  /** What it is, for `--help` and the reference. */
  readonly summary: string;
  /** Command-line flag without the dashes. */
  readonly flag: string;
  /** Environment variables, the first that is set wins. */
  readonly env: readonly string[];
  /** Path in the config file, or null where it makes no sense there. */
  readonly file: string | null;
  /** What holds when nobody says anything; undefined is explained by `otherwise`. */
  readonly standard: Value;
  readonly otherwise?: string;
  readonly placeholder: string;
  /** True when the value holds a password. */
  readonly secret?: boolean;
  /** True for a path: relative to the config file when it comes from there, else to the working directory. */
  readonly path?: boolean;
  readonly check: Check<Value>;
}

const spec = <Value>(setting: SettingSpec<Value>): SettingSpec<Value> => setting;

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const AUTH_MODES = ["auto", "keys"] as const;
export type AuthMode = (typeof AUTH_MODES)[number];

export const settingSpecs = {
  databaseUrl: spec<string | undefined>({
    summary: "PostgreSQL to use instead of the embedded one",
    flag: "database-url",
    env: ["LONGHAUL_DATABASE_URL", "DATABASE_URL"],
    file: "database.url",
    standard: undefined,
    otherwise: "the embedded PostgreSQL in the data directory",
    placeholder: "url",
    secret: true,
    check: databaseUrl,
  }),
  schema: spec({
    summary: "Schema in which everything of Longhaul lives",
    flag: "schema",
    env: ["LONGHAUL_SCHEMA"],
    file: "database.schema",
    standard: "longhaul",
    placeholder: "name",
    check: text,
  }),
  dataDir: spec({
    summary: "Where the embedded PostgreSQL keeps its data",
    flag: "data-dir",
    env: ["LONGHAUL_DATA_DIR"],
    file: "dataDir",
    standard: ".longhaul",
    placeholder: "folder",
    path: true,
    check: text,
  }),
  tenant: spec({
    summary: "Whose runs are meant",
    flag: "tenant",
    env: ["LONGHAUL_TENANT"],
    file: null,
    standard: "default",
    placeholder: "id",
    check: checkTenant,
  }),
  build: spec({
    summary: "Name of this version of the agents' code; a run stays on the build that started it",
    flag: "build",
    env: ["LONGHAUL_BUILD"],
    file: "build",
    standard: "default",
    placeholder: "name",
    check: text,
  }),
  port: spec({
    summary: "Port of the HTTP server; 0 lets the system choose",
    flag: "port",
    env: ["LONGHAUL_PORT", "PORT"],
    file: "server.port",
    standard: 2024,
    placeholder: "number",
    check: port,
  }),
  host: spec({
    summary: "Address the HTTP server listens on",
    flag: "host",
    env: ["LONGHAUL_HOST"],
    file: "server.host",
    standard: "127.0.0.1",
    placeholder: "address",
    check: text,
  }),
  hosts: spec<readonly string[] | undefined>({
    summary: "Names by which clients may address the server (`Host`), separated by commas",
    flag: "hosts",
    env: ["LONGHAUL_HOSTS"],
    file: "server.hosts",
    standard: undefined,
    otherwise: "the local names; any name when it listens beyond this machine",
    placeholder: "names",
    check: list(text),
  }),
  origins: spec<readonly string[] | undefined>({
    summary: "Origins of web pages that may use the server, separated by commas",
    flag: "origins",
    env: ["LONGHAUL_ORIGINS"],
    file: "server.origins",
    standard: undefined,
    otherwise: "its own, and those on localhost",
    placeholder: "urls",
    check: list(text),
  }),
  auth: spec<AuthMode>({
    summary:
      "Who is served: `keys` serves nobody without an API key; `auto` does the same from the first key on that was made, and until then everybody is the tenant `default`",
    flag: "auth",
    env: ["LONGHAUL_AUTH"],
    file: "server.auth",
    standard: "auto",
    placeholder: "auto|keys",
    check: choice(AUTH_MODES),
  }),
  allowPublic: spec({
    summary:
      "Whether to listen beyond this machine although no API key was ever made, so that nobody is asked who they are: only behind something that asks",
    flag: "allow-public",
    env: ["LONGHAUL_ALLOW_PUBLIC"],
    file: "server.allowPublic",
    standard: false,
    placeholder: "true|false",
    check: yesOrNo,
  }),
  processes: spec<number | string>({
    summary: "Worker processes that `longhaul start` keeps alive, or a range (`1..8`) within which the load decides",
    flag: "workers",
    env: ["LONGHAUL_WORKERS"],
    file: "worker.processes",
    standard: 1,
    placeholder: "n",
    check: processes,
  }),
  slaMs: spec({
    summary: "How long a run may wait to be claimed before workers are added and somebody is told, in milliseconds",
    flag: "sla-ms",
    env: ["LONGHAUL_SLA_MS"],
    file: "worker.slaMs",
    standard: SLA_MS,
    placeholder: "ms",
    check: count(100, 86_400_000),
  }),
  idleMinutes: spec({
    summary: "How long a worker process beyond the fewest may have nothing to do before it is stopped, in minutes",
    flag: "idle-minutes",
    env: ["LONGHAUL_IDLE_MINUTES"],
    file: "worker.idleMinutes",
    standard: 5,
    placeholder: "minutes",
    check: count(0, 1_440),
  }),
  alertsWebhook: spec<string | undefined>({
    summary: "Address that gets a POST when a queue becomes late or has no worker, and when it is well again",
    flag: "alerts-webhook",
    env: ["LONGHAUL_ALERTS_WEBHOOK"],
    file: "alerts.webhook",
    standard: undefined,
    otherwise: "nobody; it is logged in any case",
    placeholder: "url",
    secret: true,
    check: webUrl,
  }),
  slots: spec({
    summary: "Runs that one worker process executes at once",
    flag: "slots",
    env: ["LONGHAUL_SLOTS"],
    file: "worker.slots",
    standard: WORKER_SLOTS_DEFAULT,
    placeholder: "n",
    check: count(1, WORKER_SLOTS_MAX),
  }),
  queues: spec<readonly string[] | undefined>({
    summary: "Only these queues, separated by commas",
    flag: "queues",
    env: ["LONGHAUL_QUEUES"],
    file: "worker.queues",
    standard: undefined,
    otherwise: "the queues of the agents, and `default`",
    placeholder: "names",
    check: list(checkQueue),
  }),
  drainMs: spec({
    summary: "How long a stopping worker lets its runs reach a step boundary, in milliseconds",
    flag: "drain-ms",
    env: ["LONGHAUL_DRAIN_MS"],
    file: "worker.drainMs",
    standard: DRAIN_MS,
    placeholder: "ms",
    check: count(0, 86_400_000),
  }),
  leaseMs: spec({
    summary: "How long a run stays with a worker that is not heard of, in milliseconds",
    flag: "lease-ms",
    env: ["LONGHAUL_LEASE_MS"],
    file: "worker.leaseMs",
    standard: LEASE_MS,
    placeholder: "ms",
    check: count(1_000, 600_000),
  }),
  stallMs: spec({
    summary: "How long code may block a worker process before the process is killed and replaced, in milliseconds",
    flag: "stall-ms",
    env: ["LONGHAUL_STALL_MS"],
    file: "worker.stallMs",
    standard: STALL_MS,
    placeholder: "ms",
    check: count(1_000, 86_400_000),
  }),
  unfinishedMax: spec<number | undefined>({
    summary: "Runs of the whole installation that have not ended: from so many on, submits are refused",
    flag: "unfinished-max",
    env: ["LONGHAUL_UNFINISHED_MAX"],
    file: "limits.unfinishedMax",
    standard: undefined,
    otherwise: "no limit",
    placeholder: "n",
    check: unfinishedCount,
  }),
  retention: spec({
    summary: "How long runs that succeeded or were cancelled are kept after their end, or `forever`",
    flag: "retention",
    env: ["LONGHAUL_RETENTION"],
    file: "retention.finished",
    standard: "30 days",
    placeholder: "duration",
    check: keepTime(RETENTION_MS_MIN),
  }),
  retentionFailed: spec({
    summary: "How long runs that failed are kept after their end, or `forever`",
    flag: "retention-failed",
    env: ["LONGHAUL_RETENTION_FAILED"],
    file: "retention.failed",
    standard: "90 days",
    placeholder: "duration",
    check: keepTime(RETENTION_MS_MIN),
  }),
  retentionThreads: spec({
    summary: "How long threads without runs are kept, with their state, after the last thing that happened on them",
    flag: "retention-threads",
    env: ["LONGHAUL_RETENTION_THREADS"],
    file: "retention.threads",
    standard: "forever",
    placeholder: "duration",
    check: keepTime(RETENTION_MS_MIN),
  }),
  logLevel: spec<LogLevel>({
    summary: "Least important line that is logged",
    flag: "log-level",
    env: ["LONGHAUL_LOG_LEVEL"],
    file: "logLevel",
    standard: "info",
    placeholder: "level",
    check: choice(LOG_LEVELS),
  }),
} as const;

export type SettingName = keyof typeof settingSpecs;
export const settingNames = Object.keys(settingSpecs) as SettingName[];

export type Settings = { readonly [Name in SettingName]: (typeof settingSpecs)[Name]["standard"] };

/** How long things are kept, as `connect` takes it. */
export function retentionOf(settings: Settings): RetentionConfig {
  return { finished: settings.retention, failed: settings.retentionFailed, threads: settings.retentionThreads };
}
