// The reference of commands and settings is what the program understands.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { cliPage } from "../../scripts/cli-page.ts";
import { configPage } from "../../scripts/config-page.ts";
import { commands } from "../../src/cli/commands.ts";
import { settingNames, settingSpecs } from "../../src/runtime/settings.ts";

test.each([
  ["cli.md", cliPage()],
  ["config.md", configPage()],
])("docs/reference/%s is up to date (if not: npm run reference)", (page, text) => {
  expect(readFileSync(`docs/reference/${page}`, "utf8")).toBe(text);
});

test("it names every command with its flags, and every setting with its variables", () => {
  const [cli, config] = [cliPage(), configPage()];
  for (const { path } of commands) expect(cli).toContain(`### longhaul ${path}\n`);
  for (const name of settingNames) {
    const { flag, env, file } = settingSpecs[name];
    for (const word of [`--${flag} `, ...env, file ?? flag]) expect(config).toContain(word);
  }
});

test("every setting can be given to some command", () => {
  const used = new Set(commands.flatMap(({ settings }) => settings));
  expect(settingNames.filter((name) => !used.has(name))).toEqual([]);
});
