// The page docs/reference/cli.md as it follows from the definitions of the commands.
import type { AnyCommand, ArgSpec, FlagSpec } from "../src/cli/command.ts";
import { commands } from "../src/cli/commands.ts";
import { flagWords } from "../src/cli/program.ts";
import { type SettingName, settingSpecs } from "../src/runtime/settings.ts";

const INTRODUCTION = `# Command line

\`longhaul <command> [options]\`. Every command explains itself with \`--help\`, and understands:

- \`--json\`: print JSON whatever standard output is, and errors as JSON on standard error. Without it a terminal gets
  tables, and everything else gets JSON anyway; what runs on (\`dev\`, \`start\`, \`server\`, \`worker\`, \`runs watch\`) prints one
  JSON line per event.
- \`--config <file>\`: a config file other than the nearest \`longhaul.config.ts\`; see [configuration](config.md).

Logs go to standard error. \`NO_COLOR\` turns colours off, \`FORCE_COLOR\` on.

| exit code | meaning |
|---|---|
| 0 | it worked; for what runs on: it was told to stop, and drained |
| 1 | it failed: the error says what, why, and what to do, with a code from [errors](errors.md) |
| 2 | the command line cannot be understood |
| 130 | it was interrupted |

Commands that look at runs, people's answers, queues and workers speak to the database itself: the one in
\`DATABASE_URL\`, or the embedded one that runs in the data directory. They start nothing.

This page is made from the definitions in \`src/cli/\` by \`npm run reference\`; a test keeps the two equal.
`;

export function cliPage(): string {
  const groups = [...new Set(commands.map(({ group }) => group))];
  const sections = groups.map((group) => {
    const own = commands.filter((command) => command.group === group);
    return [`## ${group}`, ...own.map(commandSection)].join("\n\n");
  });
  return `${[INTRODUCTION.trimEnd(), ...sections].join("\n\n")}\n`;
}

function commandSection(command: AnyCommand): string {
  const { path, summary, about, args, flags, settings, examples } = command;
  const words = Object.entries(args).map(([name, arg]) => (arg.optional === true ? `[${name}]` : `<${name}>`));
  const usage = ["longhaul", path, ...words, "[options]"].join(" ");
  const rows = [
    ...Object.entries(args).map(([name, arg]: [string, ArgSpec]) => row(name, arg.summary)),
    ...Object.entries(flags).map(([name, flag]: [string, FlagSpec]) => row(flagWords(name, flag), describe(flag))),
  ];
  const shown = examples.flatMap(({ says, line }) => [`# ${says}`, line]);
  return [
    `### longhaul ${path}`,
    about === null ? `${summary}.` : `${summary}. ${about}`,
    `\`\`\`sh\n${usage}\n\n${shown.join("\n")}\n\`\`\``,
    ...(rows.length === 0 ? [] : [["| | |", "|---|---|", ...rows].join("\n")]),
    ...(settings.length === 0 ? [] : [`[Settings](config.md) as flags: ${settings.map(settingWords).join(", ")}.`]),
  ].join("\n\n");
}

function row(name: string, summary: string): string {
  return `| \`${name}\` | ${summary.replaceAll("|", "\\|")} |`;
}

function describe(flag: FlagSpec): string {
  return "choices" in flag
    ? `${flag.summary}: ${flag.choices.map((choice) => `\`${choice}\``).join(", ")}`
    : flag.summary;
}

function settingWords(name: SettingName): string {
  const { flag, placeholder } = settingSpecs[name];
  return `\`--${flag} <${placeholder}>\``;
}
