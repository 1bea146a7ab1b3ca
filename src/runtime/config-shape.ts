// The shape of a config file: which keys there are, and a clear refusal of those that are not.
import { fail } from "../domain/errors.ts";
import { nearest } from "../domain/nearest.ts";
import { checkGateway } from "../gateway/check-config.ts";
import type { Config } from "./config.ts";
import { settingNames, settingSpecs } from "./settings.ts";

const paths = settingNames.flatMap((name) => settingSpecs[name].file ?? []);
const sections = new Set(paths.filter((path) => path.includes(".")).map((path) => path.slice(0, path.indexOf("."))));
const topLevel = ["agents", "plans", "gateway", ...new Set(paths.map((path) => path.split(".")[0] ?? path))];

/**
 * Checks the keys of what a config file exports; the values are checked when they are used, those of the gateway at once.
 *
 * @throws CONFIG_INVALID for something that is not an object, an unknown key, a section that is not an object.
 */
export function checkConfigShape(config: unknown, file: string): Config {
  if (!isObject(config)) {
    throw fail("CONFIG_INVALID", {
      place: file,
      problem: `its default export is ${kindOf(config)}`,
      fix: "Write `export default defineConfig({ ... })`.",
    });
  }
  checkKeys(config, topLevel, "", file);
  for (const section of sections) {
    const value = config[section];
    if (value === undefined) continue;
    if (!isObject(value)) {
      throw fail("CONFIG_INVALID", {
        place: `${section} in ${file}`,
        problem: `it is ${kindOf(value)}`,
        fix: `Make it an object: { ${keysOf(section).join(", ")} }.`,
      });
    }
    checkKeys(value, keysOf(section), `${section}.`, file);
  }
  checkGateway(config["gateway"], (path) => `${path} in ${file}`);
  return config as Config;
}

function keysOf(section: string): string[] {
  return paths.filter((path) => path.startsWith(`${section}.`)).map((path) => path.slice(section.length + 1));
}

function checkKeys(value: object, known: readonly string[], prefix: string, file: string): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    const meant = nearest(key, known);
    throw fail("CONFIG_INVALID", {
      place: `${prefix}${key} in ${file}`,
      problem: "there is no such setting",
      fix: meant === undefined ? `Known are: ${known.join(", ")}.` : `Did you mean ${prefix}${meant}?`,
    });
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  return `a ${typeof value}`;
}
