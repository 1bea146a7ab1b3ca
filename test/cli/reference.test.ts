// The reference of commands and settings is what the program understands.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { cliPage } from "../../scripts/cli-page.ts";
import { configPage } from "../../scripts/config-page.ts";
import { commands } from "../../src/cli/commands.ts";
import { checkGateway } from "../../src/gateway/check-config.ts";
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

/** A config in which a setting of each table on the page stands where the table says. */
const PLACES: Readonly<Record<string, (set: object) => object>> = {
  "gateway.providers.NAME": (set) => ({ providers: { openai: set } }),
  "gateway.providers.NAME, with models of your own": (set) => ({ providers: { own: { model: () => null, ...set } } }),
  "gateway.providers.NAME.limits[PATTERN]": (set) => ({ providers: { openai: { limits: { "*": set } } } }),
  "gateway.models.NAME: targets in order": (set) => ({ models: { smart: set } }),
  "gateway.models.NAME: a choice for each call": (set) => ({ models: { smart: set } }),
  "gateway.models.NAME.route[n]": (set) => ({ models: { smart: { route: [set] } } }),
  "gateway.models.NAME.route[n].when": (set) => ({ models: { smart: { route: [{ when: set, use: "openai/x" }] } } }),
  "gateway.defaults, and in every alias": (set) => ({ defaults: set }),
  "gateway.prices[PROVIDER/MODEL]": (set) => ({ prices: { "openai/x": set } }),
};

test("every setting of the gateway on the page is one that the checks know", () => {
  const tables = configPage()
    .split(/^### /m)
    .filter((text) => /^(gateway|What a)/.test(text));
  let count = 0;
  for (const table of tables) {
    const place = table.slice(0, table.indexOf("\n"));
    for (const [, name = ""] of table.matchAll(/^\| `([^`]+)`/gm)) {
      const [first = "", ...rest] = name.replace(/^gateway\./, "").split(".");
      const set = { [first]: rest.length === 0 ? undefined : { [rest.join(".")]: undefined } };
      // What a function is given is not set.
      if (place.startsWith("What a")) continue;
      expect(`${place} ${name}: ${refusal(place === "gateway" ? set : PLACES[place]?.(set))}`).not.toMatch(
        /no such setting/,
      );
      count += 1;
    }
  }
  expect(count).toBeGreaterThan(40);
});

function refusal(config: unknown): string {
  try {
    checkGateway(config);
    return "taken";
  } catch (error) {
    return (error as Error).message;
  }
}

test("every setting can be given to some command", () => {
  const used = new Set(commands.flatMap(({ settings }) => settings));
  expect(settingNames.filter((name) => !used.has(name))).toEqual([]);
});
