#!/usr/bin/env node
// The program `longhaul`: understands the command line, runs one command, prints what it gave, and sets the exit code.
import { Context } from "./context.ts";
import { render } from "./render.ts";
import { EXIT, errorText, exitCodeOf } from "./report-error.ts";
import { isColorful, standardOutput } from "./terminal.ts";
import { programVersion } from "./version.ts";

async function main(argv: readonly string[]): Promise<number> {
  if (argv.length === 1 && (argv[0] === "--version" || argv[0] === "-V")) {
    process.stdout.write(`${programVersion()}\n`);
    return EXIT.ok;
  }
  try {
    return await run(argv);
  } catch (error) {
    const paper = { columns: process.stderr.columns ?? 80, color: isColorful(process.stderr) };
    process.stderr.write(errorText(error, argv.includes("--json"), paper));
    return exitCodeOf(error);
  }
}

async function run(argv: readonly string[]): Promise<number> {
  const { parse } = await import("./program.ts");
  const invocation = await parse(argv, (text) => process.stdout.write(text));
  if (invocation === null) return EXIT.ok;
  const { command, input, settings, configFile } = invocation;
  const output = standardOutput(argv.includes("--json"));
  const forPeople = output.terminal && !output.json;
  const context = new Context({ cwd: process.cwd(), env: process.env, flags: settings, configFile, forPeople });
  const data = await render(command, await command.run(input, context), output);
  if (context.stoppedBy !== null && !command.serves) return EXIT.interrupted;
  return command.unwell(data) ? EXIT.failed : EXIT.ok;
}

process.exitCode = await main(process.argv.slice(2));
