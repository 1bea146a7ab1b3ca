// What several commands have in common: the settings they take as flags, and arguments that mean the same everywhere.
import type { ArgSpec, FlagSpec } from "./command.ts";

/** Which database. */
export const databaseSettings = ["databaseUrl", "schema", "dataDir"] as const;
/** Which database, and whose runs in it. */
export const clientSettings = [...databaseSettings, "tenant"] as const;

export const runArg = { summary: "Id of the run" } as const satisfies ArgSpec;

export const by = {
  kind: "text",
  placeholder: "name",
  summary: "Who does this, for the record (default: your user name)",
} as const satisfies FlagSpec;
export const wait = {
  kind: "switch",
  summary: "Wait for the end, and print the result; exit code 1 unless it succeeds",
} as const satisfies FlagSpec;
export const timeout = {
  kind: "text",
  placeholder: "duration",
  summary: 'With --wait: give up after this long, such as "30s"',
} as const satisfies FlagSpec;
