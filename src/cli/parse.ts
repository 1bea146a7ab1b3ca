// Text from the command line as values: numbers, lists, JSON, and the settings that come as flags.
import { readFileSync } from "node:fs";
import { InvalidArgumentError } from "commander";
import type { SettingSpec } from "../runtime/settings.ts";
import type { FlagSpec } from "./command.ts";

type Parser = (text: string, previous: unknown) => unknown;

/** How commander shall read the value of a flag; undefined for text as it is. */
export function parserOf(flag: FlagSpec): Parser | undefined {
  switch (flag.kind) {
    case "text":
    case "switch":
      return undefined;
    case "choice":
      return (text) => oneOf(flag.choices, text);
    case "choices":
      return (text, previous) => [...listSoFar(previous), ...split(text).map((part) => oneOf(flag.choices, part))];
    case "list":
      return (text, previous) => [...listSoFar(previous), ...split(text)];
    case "count":
      return (text) => count(text, flag.min ?? 0, flag.max ?? Number.MAX_SAFE_INTEGER);
    case "number":
      return number;
    case "json":
      return parseJson;
  }
}

/** The same for a setting: what does not fit is a mistake in the command, not in the configuration. */
export function settingParser(spec: SettingSpec<unknown>): Parser {
  return (text) => {
    const checked = spec.check(text);
    if ("value" in checked) return checked.value;
    throw new InvalidArgumentError(`It must be ${checked.expected}`);
  };
}

/** JSON text, the JSON in a file (`@file`), or that on standard input (`-`). */
export function parseJson(text: string): unknown {
  const { source, json } = readSource(text);
  try {
    return JSON.parse(json) as unknown;
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new InvalidArgumentError(`${source} is not JSON: ${problem}. A text needs double quotes inside: '"hello"'`);
  }
}

function readSource(text: string): { source: string; json: string } {
  if (text === "-") return { source: "Standard input", json: readFileSync(0, "utf8") };
  if (!text.startsWith("@")) return { source: "It", json: text };
  const file = text.slice(1);
  try {
    return { source: file, json: readFileSync(file, "utf8") };
  } catch (error) {
    throw new InvalidArgumentError(
      `The file ${file} cannot be read: ${error instanceof Error ? error.message : error}`,
    );
  }
}

function oneOf(choices: readonly string[], text: string): string {
  if (choices.includes(text)) return text;
  throw new InvalidArgumentError(`It must be one of ${choices.join(", ")}`);
}

function count(text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`;
  throw new InvalidArgumentError(`It must be a whole number ${range}`);
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new InvalidArgumentError("It must be a number");
}

const split = (text: string): string[] =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
const listSoFar = (previous: unknown): readonly unknown[] => (Array.isArray(previous) ? previous : []);
