// What a project says about itself in longhaul.config.ts.
import type { AnyAgent } from "../agents/ctx.ts";
import type { PlanInput } from "../domain/plan.ts";
import type { GatewayConfig } from "../gateway/config.ts";
import type { RetentionConfig } from "./retention.ts";

/** Agents themselves, or the files and folders that export them, as globs relative to the config file. */
export type AgentSources = string | readonly (AnyAgent | string)[];

export interface DatabaseConfig {
  /** Connection string of a PostgreSQL. Default: an embedded one, with its data in `dataDir`. */
  readonly url?: string | undefined;
  /** Schema in which everything of Longhaul lives. Default `longhaul`. */
  readonly schema?: string | undefined;
}

export interface ServerConfig {
  /** Default 2024; 0 lets the system choose. */
  readonly port?: number | undefined;
  /** Default 127.0.0.1: only programs on this machine. */
  readonly host?: string | undefined;
  /** Names by which clients may address it. Default: the local names; any when it listens beyond this machine. */
  readonly hosts?: readonly string[] | undefined;
  /** Origins of web pages that may use it. Default: its own, and those on localhost. */
  readonly origins?: readonly string[] | undefined;
  /** `keys`: nobody is served without an API key. Default `auto`: the same from the first key on that was made. */
  readonly auth?: "auto" | "keys" | undefined;
  /** Listen beyond this machine although no key was ever made: only behind something that knows who asks. Default false. */
  readonly allowPublic?: boolean | undefined;
}

export interface WorkerConfig {
  /** Worker processes that `longhaul start` keeps alive; `"1..8"`: as many as the load asks for. Default 1. */
  readonly processes?: number | `${number}..${number}` | undefined;
  /** How long a run may wait to be claimed before workers are added and somebody is told, in milliseconds. Default 5,000. */
  readonly slaMs?: number | undefined;
  /** How long a worker process beyond the fewest may have nothing to do before it is stopped. Default 5. */
  readonly idleMinutes?: number | undefined;
  /** Runs that one worker process executes at once. Default 64. */
  readonly slots?: number | undefined;
  /** Only these queues. Default: the queues of the agents, and `default`. */
  readonly queues?: readonly string[] | undefined;
  /** How long a stopping worker lets its runs reach a step boundary. Default 30,000. */
  readonly drainMs?: number | undefined;
  /** How long a run stays with a worker that is not heard of. Default 10,000. */
  readonly leaseMs?: number | undefined;
  /** How long code may block a worker process before the process is killed and replaced. Default 30,000. */
  readonly stallMs?: number | undefined;
}

export interface LimitsConfig {
  /** Runs of the whole installation that have not ended: from so many on, submits are refused. Default no limit. */
  readonly unfinishedMax?: number | undefined;
}

export interface AlertsConfig {
  /** Address that gets a POST when a queue becomes late or has no worker, and when it is well again. Default: none. */
  readonly webhook?: string | undefined;
}

export interface Config {
  readonly agents?: AgentSources | undefined;
  readonly database?: DatabaseConfig | undefined;
  /** Where the embedded database keeps its data, relative to the config file. Default `.longhaul`. */
  readonly dataDir?: string | undefined;
  /** Name of this version of the agents' code: a run stays on the build that started it. Default `default`. */
  readonly build?: string | undefined;
  readonly server?: ServerConfig | undefined;
  readonly worker?: WorkerConfig | undefined;
  readonly limits?: LimitsConfig | undefined;
  /** What tenants may have, by the name of the plan; a number is `concurrency`. Tenants without another plan are on `default`. */
  readonly plans?: Readonly<Record<string, PlanInput>> | undefined;
  /** Models: their providers, aliases, limits and prices. Without it `openai/…`, `anthropic/…` and `google/…` work with keys from the environment. */
  readonly gateway?: GatewayConfig | undefined;
  readonly alerts?: AlertsConfig | undefined;
  /** How long things are kept. Default: 30 days, failures 90 days, threads forever. Not shorter than a minute. */
  readonly retention?: RetentionConfig | undefined;
  /** Least important line that is logged. Default `info`. */
  readonly logLevel?: "debug" | "info" | "warn" | "error" | undefined;
}

/** Gives the config back as it is: it exists so that editors know the type. */
export function defineConfig(config: Config): Config {
  return config;
}
