// A project as a process sees it: its config file, its settled settings, and its agents when somebody asks for them.
import { resolve } from "node:path";
import { fail } from "../domain/errors.ts";
import type { PlanInput } from "../domain/plan.ts";
import type { GatewayConfig } from "../gateway/config.ts";
import { type DiscoveredAgent, discoverAgents } from "./discover-agents.ts";
import { configuredPlans } from "./limits.ts";
import { loadConfig } from "./load-config.ts";
import { type Origin, resolveSettings } from "./resolve-settings.ts";
import type { SettingName, Settings } from "./settings.ts";
import { type Modules, userModules } from "./user-modules.ts";

export interface ProjectOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Settings given on the command line, by setting name. */
  readonly flags?: Partial<Readonly<Record<SettingName, unknown>>> | undefined;
  /** Config file named by the user; default: LONGHAUL_CONFIG, else the nearest `longhaul.config.*` from `cwd` upwards. */
  readonly configFile?: string | undefined;
  /** Files and folders with agents, relative to `cwd`: instead of those in the config file. */
  readonly agents?: readonly string[] | undefined;
  readonly modules?: Modules | undefined;
  /** Run the user's files anew, also those that ran before in this process. Default false. */
  readonly fresh?: boolean | undefined;
}

export interface Project {
  readonly configFile: string | null;
  readonly root: string;
  readonly settings: Settings;
  readonly origins: Readonly<Record<SettingName, Origin>>;
  /** The plans that the config file names, each of them usable. */
  readonly plans: Readonly<Record<string, PlanInput>>;
  /** What it says of models, checked. */
  readonly gateway: GatewayConfig | undefined;
  /** True when the config file, `--agents` or LONGHAUL_AGENTS names agents. */
  readonly namesAgents: boolean;
  /** Loads the agents. @throws CONFIG_NOT_FOUND when nothing names any; CONFIG_INVALID */
  agents(): Promise<DiscoveredAgent[]>;
}

/**
 * Reads the config file and settles the settings: flags, then environment, then file, then defaults.
 *
 * @throws CONFIG_NOT_FOUND, CONFIG_INVALID
 */
export async function openProject(options: ProjectOptions): Promise<Project> {
  const { cwd, env = {}, flags, modules, fresh } = options;
  const named = options.configFile ?? (env.LONGHAUL_CONFIG || undefined);
  const { config, file, root } = await loadConfig({ cwd, file: named, modules, fresh });
  const { values, origins } = resolveSettings({ flags, env, config, file, root, cwd });
  configuredPlans(config.plans, (path) => `${path} in ${file}`);
  const given = agentPatterns(options.agents, env.LONGHAUL_AGENTS);
  return {
    configFile: file,
    root,
    settings: values,
    origins,
    plans: config.plans ?? {},
    gateway: config.gateway,
    namesAgents: given !== undefined || config.agents !== undefined,
    agents: async () => {
      const loader = userModules(modules);
      if (given !== undefined) {
        const place = options.agents === undefined ? "LONGHAUL_AGENTS" : "--agents";
        return await discoverAgents({ sources: given, root: resolve(cwd), place, modules: loader });
      }
      if (config.agents === undefined) throw noAgents(file, cwd);
      return await discoverAgents({ sources: config.agents, root, place: file ?? root, modules: loader });
    },
  };
}

/** Undefined where nothing is named. */
function agentPatterns(
  flags: readonly string[] | undefined,
  variable: string | undefined,
): readonly string[] | undefined {
  const patterns =
    flags ??
    variable
      ?.split(",")
      .map((pattern) => pattern.trim())
      .filter((pattern) => pattern !== "") ??
    [];
  return patterns.length === 0 ? undefined : patterns;
}

function noAgents(file: string | null, cwd: string): Error {
  if (file === null) {
    const fix =
      'Make longhaul.config.ts with `export default defineConfig({ agents: "./agents" })`, or name files with --agents.';
    return fail("CONFIG_NOT_FOUND", { what: `There is no longhaul.config.ts in ${cwd} or above it`, fix });
  }
  const problem = "it names no agents";
  return fail("CONFIG_INVALID", { place: file, problem, fix: 'Add `agents: "./agents"`, or a list of agents.' });
}
