// The table of commands as a commander program: words, flags, help with examples, and usage errors with a suggestion.
import { Command, CommanderError, Option } from "commander";
import { fail } from "../domain/errors.ts";
import { nearest } from "../domain/nearest.ts";
import { type SettingSpec, settingSpecs } from "../runtime/settings.ts";
import type { AnyCommand, FlagSpec } from "./command.ts";
import { commands } from "./commands.ts";
import { parseJson, parserOf, settingParser } from "./parse.ts";
import { programVersion } from "./version.ts";

/** A command line that has been understood. */
export interface Invocation {
  readonly command: AnyCommand;
  readonly input: Readonly<Record<string, unknown>>;
  /** Settings given as flags, by setting name. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly configFile: string | undefined;
}

/** Names of the folders of commands: what each is about. */
const GROUPS: Readonly<Record<string, string>> = {
  runs: "Submit runs, look at them, and move them",
  dead: "Deal with runs that failed for good",
  approvals: "Answer the questions that agents ask people",
  keys: "Make and end the API keys of tenants",
  plans: "Say what tenants may have",
  tenants: "See what tenants use, put them on plans, pause them",
  charges: "See what finished runs are charged, and take note of it",
};

/**
 * Finds the command and its input. Prints help itself, through `write`, and gives null then.
 *
 * @throws COMMAND_INVALID
 */
export async function parse(argv: readonly string[], write: (text: string) => void): Promise<Invocation | null> {
  let invocation: Invocation | null = null;
  const program = build((found) => {
    invocation = found;
  }, write);
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0 && error.code !== "commander.help") throw usage(error);
  }
  return invocation;
}

function build(onFound: (invocation: Invocation) => void, write: (text: string) => void): Command {
  const program = new Command("longhaul")
    .description("A durable runtime for AI agents, on PostgreSQL alone")
    .usage("<command> [options]")
    .version(programVersion(), "-V, --version", "Print the version");
  configure(program, write);
  const folders = new Map<string, Command>();
  for (const command of commands) {
    const words = command.path.split(" ");
    const name = words.at(-1) ?? command.path;
    let parent = program;
    if (words.length > 1) parent = folderOf(words[0] ?? "", command.group, program, folders, write);
    parent.addCommand(leaf(command, name, onFound, write));
  }
  return program;
}

function folderOf(
  name: string,
  group: string,
  program: Command,
  folders: Map<string, Command>,
  write: (text: string) => void,
): Command {
  const known = folders.get(name);
  if (known !== undefined) return known;
  const folder = new Command(name).description(GROUPS[name] ?? name).helpGroup(`${group}:`);
  configure(folder, write);
  folders.set(name, folder);
  program.addCommand(folder);
  return folder;
}

function leaf(
  command: AnyCommand,
  name: string,
  onFound: (invocation: Invocation) => void,
  write: (text: string) => void,
): Command {
  const result = new Command(name).description(sentences(command)).summary(command.summary);
  if (!command.path.includes(" ")) result.helpGroup(`${command.group}:`);
  configure(result, write);
  for (const [arg, spec] of Object.entries(command.args)) {
    const shown = spec.optional === true ? `[${arg}]` : `<${arg}>`;
    if (spec.kind === "json") result.argument(shown, spec.summary, parseJson);
    else result.argument(shown, spec.summary);
  }
  for (const [flag, spec] of Object.entries(command.flags)) result.addOption(optionOf(flag, spec));
  for (const setting of command.settings)
    result.addOption(settingOption(settingSpecs[setting] as SettingSpec<unknown>));
  result.option("--config <file>", "Config file to use instead of the nearest longhaul.config.ts");
  result.option("--json", "Print JSON, and errors as JSON, whatever standard output is");
  result.addHelpText("after", examplesOf(command));
  result.action((...received: unknown[]) => {
    const given = received.slice(0, Object.keys(command.args).length);
    const args = Object.fromEntries(Object.keys(command.args).map((arg, index) => [arg, given[index]]));
    onFound(invocationOf(command, args, result.opts()));
  });
  return result;
}

function invocationOf(command: AnyCommand, args: object, options: Readonly<Record<string, unknown>>): Invocation {
  const flags = Object.fromEntries(Object.keys(command.flags).map((flag) => [flag, options[flag]]));
  const settings = Object.fromEntries(
    command.settings.map((name) => [name, options[camelCase(settingSpecs[name].flag)]]),
  );
  return { command, input: { ...args, ...flags }, settings, configFile: options.config as string | undefined };
}

function configure(command: Command, write: (text: string) => void): void {
  command
    .exitOverride()
    // Errors are thrown and told by the caller; only the help of `longhaul runs` without more comes this way.
    .configureOutput({ writeOut: write, writeErr: (text) => (text.startsWith("error:") ? undefined : write(text)) })
    .configureHelp({ showGlobalOptions: false })
    .helpOption("-h, --help", "Show this help")
    .helpCommand(false);
}

function optionOf(flag: string, spec: FlagSpec): Option {
  const option = new Option(flagWords(flag, spec), describe(spec));
  const parser = parserOf(spec);
  return parser === undefined ? option : option.argParser(parser);
}

/** `-i, --input <json>` */
export function flagWords(flag: string, spec: FlagSpec): string {
  const short = spec.short === undefined ? "" : `-${spec.short}, `;
  const value = spec.kind === "switch" ? "" : ` <${spec.placeholder ?? placeholders[spec.kind]}>`;
  return `${short}--${kebabCase(flag)}${value}`;
}

const placeholders = {
  text: "text",
  count: "n",
  number: "n",
  json: "json",
  list: "names",
  choices: "names",
  choice: "name",
} as const;

function describe(spec: FlagSpec): string {
  return "choices" in spec ? `${spec.summary}: ${spec.choices.join(", ")}` : spec.summary;
}

function settingOption(spec: SettingSpec<unknown>): Option {
  const standard = spec.standard === undefined ? spec.otherwise : String(spec.standard);
  const about = `${spec.summary} (default: ${standard})`;
  if (typeof spec.standard !== "boolean") {
    return new Option(`--${spec.flag} <${spec.placeholder}>`, about).argParser(settingParser(spec));
  }
  return new Option(`--${spec.flag} [${spec.placeholder}]`, about).preset("true").argParser(settingParser(spec));
}

function sentences(command: AnyCommand): string {
  return command.about === null ? `${command.summary}.` : `${command.summary}. ${command.about}`;
}

function examplesOf(command: AnyCommand): string {
  return ["", "Examples:", ...command.examples.flatMap(({ line, says }) => [`  # ${says}`, `  ${line}`])].join("\n");
}

/** Commander's message as one sentence, and what to do: the suggestion it found, or where to look. */
function usage(error: CommanderError): Error {
  const [said = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  const problem = said.replace(/\.$/, "");
  const near = /Did you mean (?:one of )?(.+)\?\)?$/.exec(suggestion ?? "")?.[1];
  const elsewhere = suggestFolder(problem);
  // A neighbour that is less alike than a command in some folder is not what was meant.
  const meant = near === undefined || elsewhere?.endsWith(` ${near}`) === false ? (elsewhere ?? near) : near;
  const fix =
    meant === undefined ? "Look at `longhaul --help`, or `longhaul <command> --help`." : `Did you mean ${meant}?`;
  return fail("COMMAND_INVALID", { problem, fix }, { cause: error });
}

/** `longhaul list` for `longhaul runs list`: commander looks only among neighbours. */
function suggestFolder(problem: string): string | undefined {
  const word = /unknown command '(.+)'/.exec(problem)?.[1];
  if (word === undefined) return undefined;
  const meant = nearest(
    word,
    commands.map(({ path }) => path.split(" ").at(-1) ?? path),
  );
  const path = commands.find((command) => command.path.split(" ").at(-1) === meant)?.path;
  return path === undefined ? undefined : `longhaul ${path}`;
}

function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
