// What each setting is and where that comes from: a flag, else the environment, else the config file, else the default.
import { isAbsolute, resolve } from "node:path";
import { fail } from "../domain/errors.ts";
import type { Config } from "./config.ts";
import { type SettingName, type SettingSpec, type Settings, settingNames, settingSpecs } from "./settings.ts";

export interface Origin {
  readonly source: "flag" | "env" | "file" | "default";
  /** `--port`, `PORT`, `server.port`, or nothing for a default. */
  readonly name: string | null;
}

export interface ResolvedSettings {
  readonly values: Settings;
  readonly origins: Readonly<Record<SettingName, Origin>>;
}

export interface SettingSources {
  /** By setting name; undefined means not given. */
  readonly flags?: Partial<Readonly<Record<SettingName, unknown>>> | undefined;
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  readonly config?: Config | undefined;
  /** The config file, to resolve its paths and to name it in errors. */
  readonly file?: string | null | undefined;
  /** The folder of the config file, or the working directory where there is none. */
  readonly root: string;
  readonly cwd: string;
}

interface Found extends Origin {
  readonly raw: unknown;
}

/**
 * Settles every setting. An empty environment variable counts as not set.
 *
 * @throws CONFIG_INVALID with the place of the value that does not fit and what would.
 */
export function resolveSettings(sources: SettingSources): ResolvedSettings {
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  for (const name of settingNames) {
    const spec = settingSpecs[name] as SettingSpec<unknown>;
    const found = find(name, spec, sources);
    origins[name] = { source: found.source, name: found.name };
    values[name] = found.source === "default" ? found.raw : checked(spec, found, sources);
    if (spec.path === true) values[name] = absolute(String(values[name]), found, sources);
  }
  return { values: values as Settings, origins: origins as Record<SettingName, Origin> };
}

function find(name: SettingName, spec: SettingSpec<unknown>, { flags, env, config }: SettingSources): Found {
  const flag = flags?.[name];
  if (flag !== undefined) return { source: "flag", name: `--${spec.flag}`, raw: flag };
  for (const variable of spec.env) {
    const value = env?.[variable];
    if (value !== undefined && value !== "") return { source: "env", name: variable, raw: value };
  }
  const value = spec.file === null ? undefined : at(config, spec.file);
  if (value !== undefined) return { source: "file", name: spec.file, raw: value };
  return { source: "default", name: null, raw: spec.standard };
}

function checked(spec: SettingSpec<unknown>, found: Found, { file }: SettingSources): unknown {
  const result = spec.check(found.raw);
  if ("value" in result) return result.value;
  const place = found.source === "file" ? `${found.name} in ${file}` : String(found.name);
  const shown = spec.secret === true ? "a value" : shortly(found.raw);
  throw fail("CONFIG_INVALID", {
    place,
    problem: `${shown} is not ${result.expected}`,
    fix: `Make it ${result.expected}, or remove it.`,
  });
}

function absolute(path: string, { source }: Found, { root, cwd }: SettingSources): string {
  if (isAbsolute(path)) return path;
  return resolve(source === "file" || source === "default" ? root : cwd, path);
}

function at(config: unknown, path: string): unknown {
  let value = config;
  for (const key of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}

function shortly(raw: unknown): string {
  const text = typeof raw === "string" ? JSON.stringify(raw) : (JSON.stringify(raw) ?? String(raw));
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

/** A connection string without its password, for people and logs. */
export function redactUrl(url: string): string {
  return url.replace(/^([a-z]+:\/\/[^:/?#]*):.*@/i, "$1:***@").replace(/([?&]password=)[^&]*/gi, "$1***");
}
