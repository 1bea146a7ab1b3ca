// The command line is understood or refused with what would be right; help costs nothing and shows how.
import { describe, expect, test } from "vitest";
import type { AnyCommand } from "../../src/cli/command.ts";
import { commands } from "../../src/cli/commands.ts";
import { parse } from "../../src/cli/program.ts";
import { EXIT, errorReport, exitCodeOf } from "../../src/cli/report-error.ts";

async function helpOf(...argv: string[]): Promise<string> {
  let text = "";
  expect(await parse(argv, (part) => (text += part))).toBeNull();
  return text;
}

async function understood(...argv: string[]) {
  const invocation = await parse(argv, () => undefined);
  if (invocation === null) throw new Error("help was printed");
  return invocation;
}

describe("input", () => {
  test("arguments, flags and settings reach the command under their names", async () => {
    const { command, input, settings, configFile } = await understood(
      ...["runs", "submit", "hello", "-i", '{"a":[1]}', "--if-busy", "reject", "--priority", "5", "--run-id", "x"],
      ...["--wait", "--tenant", "acme", "--database-url", "postgres://db", "--config", "other.ts", "--json"],
    );
    expect(command.path).toBe("runs submit");
    expect(input).toMatchObject({
      agent: "hello",
      input: { a: [1] },
      ifBusy: "reject",
      priority: 5,
      runId: "x",
      wait: true,
    });
    expect(input.queue).toBeUndefined();
    expect(settings).toMatchObject({ tenant: "acme", databaseUrl: "postgres://db", schema: undefined });
    expect(configFile).toBe("other.ts");
  });

  test.each([
    [["runs", "list", "--status", "failed,paused", "--status", "queued"], { status: ["failed", "paused", "queued"] }],
    [["dev", "--agents", "a.ts, b.ts", "--agents", "c"], { agents: ["a.ts", "b.ts", "c"] }],
    [["signal", "r", "paid", "null"], { run: "r", name: "paid", payload: null }],
    [["signal", "r", "paid"], { run: "r", name: "paid", payload: undefined }],
    [["runs", "submit", "a", "--input", "@package.json"], { input: expect.objectContaining({ name: "longhaul" }) }],
  ])("%j", async (argv, input) => {
    expect((await understood(...argv)).input).toMatchObject(input);
  });

  test.each([
    [["server", "--allow-public"], { allowPublic: true }],
    [["server", "--allow-public", "false"], { allowPublic: false }],
    [["start", "--workers", "4", "--queues", "a,b"], { processes: 4, queues: ["a", "b"] }],
  ])("%j", async (argv, settings) => {
    expect((await understood(...argv)).settings).toMatchObject(settings);
  });
});

describe("mistakes", () => {
  test.each([
    ["rns", "unknown command 'rns'", "Did you mean runs?"],
    ["list", "unknown command 'list'", "Did you mean longhaul runs list?"],
    ["aprove", "unknown command 'aprove'", "Did you mean longhaul approvals approve?"],
    ["runs lst", "unknown command 'lst'", "Did you mean list?"],
    ["runs list --limt 3", "unknown option '--limt'", "Did you mean --limit?"],
    ["gibberish", "unknown command 'gibberish'", "Look at `longhaul --help`"],
    ["runs show", "missing required argument 'run'", "Look at"],
    ["runs show a b", "too many arguments", "Look at"],
    ["runs list --limit 0", "It must be a whole number from 1 to 200", "Look at"],
    ["runs list --limit many", "It must be a whole number", "Look at"],
    ["runs list --status sleeping", "It must be one of queued, running", "Look at"],
    ["runs submit a --input {a}", "It is not JSON", "Look at"],
    ["runs submit a --input @nowhere.json", "The file nowhere.json cannot be read", "Look at"],
    ["runs submit a --input", "argument missing", "Look at"],
    ["start --port 65536", "It must be a whole number from 0 to 65535", "Look at"],
    ["server --allow-public perhaps", "It must be true or false", "Look at"],
    ["dev --tenant x", "unknown option '--tenant'", "Look at"],
  ])("%s", async (words, problem, fix) => {
    const error = await parse(words.split(" "), () => undefined).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(errorReport(error)).toMatchObject({ code: "COMMAND_INVALID", hint: expect.stringContaining(fix) });
    expect(errorReport(error).message).toContain(problem);
    expect(exitCodeOf(error)).toBe(EXIT.usage);
  });
});

describe("help", () => {
  test("without a command, and of a folder of commands, is what they hold", async () => {
    const all = await helpOf();
    expect(await helpOf("--help")).toBe(all);
    for (const word of new Set(commands.map(({ path }) => path.split(" ")[0]))) expect(all).toContain(`\n  ${word}`);
    expect(await helpOf("runs")).toContain("\n  watch");
  });

  test.each(commands.map((command): [string, AnyCommand] => [command.path, command]))(
    "of %s shows it all, with examples",
    async (path, command) => {
      const text = await helpOf(...path.split(" "), "--help");
      expect(text).toContain(command.summary);
      expect(command.examples.length).toBeGreaterThan(0);
      for (const { line, says } of command.examples) expect(text).toContain(`  # ${says}\n  ${line}`);
      for (const name of Object.keys(command.args)) expect(text).toMatch(new RegExp(`^  ${name} `, "m"));
      expect(text).toContain("--json");
    },
  );

  test.each(
    commands.flatMap(({ path, examples }) => examples.map((example): [string, string] => [example.line, path])),
  )("the example %s can be typed", async (line, path) => {
    const words = shellWords(line.slice(line.indexOf("longhaul ") + 9).replace(/ [|>] .*$/, ""));
    if (words[0] === "--version") return expect(path).toBe("version");
    const invocation = await understood(...words.map((word) => (word.startsWith("@") ? "{}" : word)));
    expect(invocation.command.path).toBe(path);
  });
});

function shellWords(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, plain]) => single ?? double ?? plain ?? "",
  );
}
