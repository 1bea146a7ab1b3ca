// The page docs/reference/config.md as it follows from the table of settings.
import { type SettingSpec, settingNames, settingSpecs } from "../src/runtime/settings.ts";
import { gatewaySettings } from "./gateway-settings.ts";

const INTRODUCTION = `# Configuration

A project's configuration is \`longhaul.config.ts\` (or \`.mts\`, \`.js\`, \`.mjs\`) in its folder. It is found from any folder
below; TypeScript works in it on every version of Node.

\`\`\`ts
import { defineConfig } from "longhaul";

export default defineConfig({
  agents: "./agents",              // every agent that the files below export
  server: { port: 8080 },
  worker: { slots: 200, queues: ["fast", "default"] },
});
\`\`\`

**Agents** are given as a list of agents, of files, folders and globs relative to the config file, or of both. In a
file, every export that \`agent()\` made counts. \`*\` and \`?\` stay inside a name, \`**\` is any number of folders, \`{a,b}\` one or
the other; a folder stands for all code files in it and below, except tests. Instead of the file, \`--agents\` or
\`LONGHAUL_AGENTS\` may name them, relative to the working directory.

**Plans** say what tenants may have, by the name of the plan: \`plans: { free: { concurrency: 2 }, pro: 20 }\`. They are in the file only,
and written when something starts with it; see [the queue](../guides/queue.md). **Models** are in the file only, too: [gateway](#gateway).

**A setting** is what the command line says; else what the environment says, the first variable that is set and not
empty; else what the file says; else its default. \`longhaul doctor\` shows every value and where it comes from. A value
that does not fit is refused with CONFIG_INVALID, which names its place.

\`LONGHAUL_CONFIG\` names another config file, like \`--config\`.

This page is made from \`src/runtime/settings.ts\` and \`src/gateway/config.ts\` by \`npm run reference\`; a test keeps the two equal.
`;

export function configPage(): string {
  const sections = settingNames.map((name) => section(settingSpecs[name] as SettingSpec<unknown>));
  return `${[INTRODUCTION.trimEnd(), ...sections, gatewaySettings()].join("\n\n")}\n`;
}

function section(spec: SettingSpec<unknown>): string {
  const { summary, flag, env, file, standard, otherwise, path } = spec;
  const value = standard === undefined ? (otherwise ?? "none") : `\`${String(standard)}\``;
  const places = [
    `- in the file: ${file === null ? "not there" : `\`${file}\``}`,
    `- in the environment: ${env.map((variable) => `\`${variable}\``).join(", else ")}`,
    `- as a flag: \`--${flag} <${spec.placeholder}>\``,
    `- default: ${value}`,
  ];
  const note =
    path === true ? "\n\nA relative path in the file means the file's folder, elsewhere the working directory." : "";
  return `## ${file ?? flag}\n\n${summary}.\n\n${places.join("\n")}${note}`;
}
