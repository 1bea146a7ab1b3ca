// The package as a user gets it: what is in it, that it installs, that every entry loads and its types check, and that it runs.
import { type ExecFileOptions, execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const INSTALL_TIMEOUT_MS = 240_000;

const AGENT_PROGRAM = `
import { agent, connect } from "longhaul";

const greeter = agent({
  name: "greeter",
  async run(ctx, input) {
    const name = await ctx.step("name", () => input.name.toUpperCase());
    return { greeting: "hello " + name };
  },
});

const longhaul = await connect({ agents: [greeter], worker: true });
console.log(JSON.stringify(await longhaul.run(greeter, { name: "Ada" })));
await longhaul.close();
`;

const TYPED_PROGRAM = `
import { agent, connect, type Longhaul } from "longhaul";
import { serve } from "longhaul/server";
import { z } from "zod";

const doubler = agent({
  name: "doubler",
  input: z.object({ n: z.number() }),
  run: (ctx, { n }) => ctx.step("double", () => n * 2),
});
const longhaul: Longhaul = await connect({ agents: [doubler] });
const doubled: number = await longhaul.run(doubler, { n: 2 });
// @ts-expect-error: the input is { n: number }
await longhaul.run(doubler, { m: 2 });
const http = await serve({ longhaul, port: 0 });
const url: string = http.url;
console.log(doubled, url);
`;

interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly version: string;
}

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
let folder: string;
let project: string;
let packed: string[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "longhaul-package-"));
  if (!existsSync("dist/index.js")) await run(process.execPath, ["scripts/run.mjs", "build"]);
  const [pack] = JSON.parse(await npm(["pack", "--ignore-scripts", "--json", "--pack-destination", folder])) as [
    { filename: string; files: { path: string }[] },
  ];
  packed = pack.files.map(({ path }) => path);
  project = mkdtempSync(join(folder, "project-"));
  writeFileSync(join(project, "package.json"), '{ "name": "empty-project", "private": true, "type": "module" }');
  await npm(["install", join(folder, pack.filename), "--prefer-offline", "--no-audit", "--no-fund"], { cwd: project });
}, INSTALL_TIMEOUT_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Output of a command that must succeed; its complaint otherwise. */
async function run(file: string, args: string[], options: ExecFileOptions = {}): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(file, args, { maxBuffer: 2 ** 26, encoding: "utf8", ...options });
    return String(stdout);
  } catch (cause) {
    // Compilers complain on standard output, which the error's own message leaves out.
    const { stdout = "", message } = cause as Error & { stdout?: string };
    throw new Error(`${message}\n${stdout}`, { cause });
  }
}

function npm(args: string[], options?: ExecFileOptions): Promise<string> {
  const cli = process.env.npm_execpath;
  return cli?.endsWith(".js") ? run(process.execPath, [cli, ...args], options) : run("npm", args, options);
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** What the compiler makes of a source file; other files travel as they are. */
function builtFrom(source: string): string[] {
  const target = source.replace(/^src/, "dist");
  if (!target.endsWith(".ts")) return [target];
  const stem = target.slice(0, -".ts".length);
  return [`${stem}.js`, `${stem}.d.ts`];
}

describe("the archive", () => {
  test("holds the built sources, the SQL and the papers, and nothing else", () => {
    const papers = ["package.json", "README.md", "LICENSE", "CHANGELOG.md"];
    const expected = [...papers, ...filesIn("sql"), ...filesIn("src").flatMap(builtFrom)];
    expect([...packed].sort()).toEqual(expected.sort());
  });

  test("says what it is to every tool (publint)", async () => {
    const { publint } = await import("publint");
    const { messages } = await publint({ pkgDir: join(project, "node_modules", "longhaul"), strict: true });
    expect(messages).toEqual([]);
  });
});

describe("the lock file", () => {
  const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
    packages: Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }>;
  };

  test("names no registry", () => {
    expect(Object.values(packages).filter(({ resolved }) => resolved?.startsWith("http"))).toEqual([]);
  });

  test("has the packages of every platform (if not: node scripts/complete-lockfile.mjs)", () => {
    const wanted = Object.values(packages).flatMap(({ optionalDependencies = {} }) =>
      Object.keys(optionalDependencies),
    );
    const present = Object.keys(packages);
    expect(wanted.filter((name) => !present.some((path) => path.endsWith(`node_modules/${name}`)))).toEqual([]);
  });
});

describe("installed in an empty project", () => {
  test("every entry loads", async () => {
    const entries = Object.keys(manifest.exports).filter((entry) => !entry.endsWith(".json"));
    const imports = entries.map((entry) => `await import("longhaul${entry.slice(1)}");`);
    writeFileSync(join(project, "entries.mjs"), `${imports.join("\n")}\nconsole.log("loaded");\n`);
    expect(await run(process.execPath, ["entries.mjs"], { cwd: project })).toBe("loaded\n");
  });

  test("its types check and infer", { timeout: 120_000 }, async () => {
    writeFileSync(join(project, "typed.ts"), TYPED_PROGRAM);
    const compiler = join(process.cwd(), "node_modules", "typescript", "bin", "tsc");
    // Without --skipLibCheck: a declaration that our types import and that is not installed with them would make them `any`.
    const options = "--ignoreConfig --noEmit --strict --module nodenext --target es2023 --types node".split(" ");
    expect(await run(process.execPath, [compiler, ...options, "typed.ts"], { cwd: project })).toBe("");
  });

  test("runs an agent on a PostgreSQL of its own, without any set-up", async () => {
    writeFileSync(join(project, "agent.mjs"), AGENT_PROGRAM);
    const output = await run(process.execPath, ["agent.mjs"], {
      cwd: project,
      env: { ...process.env, DATABASE_URL: "" },
    });
    expect(JSON.parse(output.trim().split("\n").at(-1) ?? "")).toEqual({ greeting: "hello ADA" });
  });

  test("its command runs", async () => {
    const output = await run(join(project, "node_modules", ".bin", "longhaul"), ["--version"], { cwd: project });
    expect(output).toContain(manifest.version);
  });
});
