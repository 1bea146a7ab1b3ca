// The config file is found, loaded and checked; agents are discovered; and every mistake says where it is and what to do.
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { isLonghaulError } from "../../src/domain/errors.ts";
import { openProject, type ProjectOptions } from "../../src/runtime/project.ts";
import { type TestProject, testProject } from "../support/project.ts";

const projects: TestProject[] = [];
afterEach(() => {
  for (const project of projects.splice(0)) project.remove();
});

function made(files: Readonly<Record<string, string>>): TestProject {
  const project = testProject(files);
  projects.push(project);
  return project;
}

/** Stands for the package, which a test project has not installed. */
const modules = {
  longhaul: {
    defineConfig: (config: unknown) => config,
    agent: (definition: object) =>
      Object.freeze({ queue: "default", limits: {}, schema: null, description: null, ...definition }),
  },
};
const agentFile = (...names: string[]): string =>
  [
    'import { agent } from "longhaul";',
    ...names.map((name) => `export const ${name}: unknown = agent({ name: "${name}", run: () => "${name}" });`),
  ].join("\n");

async function open(root: string, options: Partial<ProjectOptions> = {}) {
  return await openProject({ cwd: root, modules, ...options });
}

async function names(root: string, options: Partial<ProjectOptions> = {}): Promise<string[]> {
  const project = await open(root, options);
  return (await project.agents()).map(({ agent }) => agent.name);
}

async function refusal(work: Promise<unknown>) {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (isLonghaulError(error)) return error;
  throw error ?? new Error("nothing was thrown");
}

describe("the config file", () => {
  test.each(["ts", "mts", "js", "mjs"])("longhaul.config.%s is loaded", async (extension) => {
    const { root } = made({ [`longhaul.config.${extension}`]: "export default { server: { port: 3456 } };" });
    const project = await open(root);
    expect(project.settings.port).toBe(3456);
    expect(project.configFile).toBe(join(root, `longhaul.config.${extension}`));
  });

  test("TypeScript, defineConfig and imports of one's own work", async () => {
    const { root } = made({
      "longhaul.config.ts": `
        import { defineConfig } from "longhaul";
        import { port } from "./ports.ts";
        import { agents } from "./agents";
        export default defineConfig({ agents: Object.values(agents), server: { port: port as number } });`,
      "ports.ts": "interface Port { n: number } const one: Port = { n: 4321 }; export const port = one.n;",
      "agents/index.ts": `import * as one from "./one.ts"; export const agents: Record<string, unknown> = { ...one };`,
      "agents/one.ts": agentFile("one", "two"),
    });
    expect((await open(root)).settings.port).toBe(4321);
    expect(await names(root)).toEqual(["one", "two"]);
  });

  test("is found from a folder below; the nearest wins", async () => {
    const { root } = made({
      "longhaul.config.ts": "export default { build: 'outer' };",
      "a/b/longhaul.config.mjs": "export default { build: 'inner' };",
      "a/b/c/file.txt": "",
      "a/d/file.txt": "",
    });
    expect((await open(join(root, "a/b/c"))).settings.build).toBe("inner");
    expect((await open(join(root, "a/d"))).settings.build).toBe("outer");
  });

  test("--config and LONGHAUL_CONFIG name another", async () => {
    const { root } = made({
      "longhaul.config.ts": "export default {};",
      "other.ts": "export default { build: 'other' };",
    });
    expect((await open(root, { configFile: "other.ts" })).settings.build).toBe("other");
    expect((await open(root, { env: { LONGHAUL_CONFIG: join(root, "other.ts") } })).settings.build).toBe("other");
    const error = await refusal(open(root, { configFile: "nowhere.ts" }));
    expect(error.code).toBe("CONFIG_NOT_FOUND");
    expect(error.message).toContain(join(root, "nowhere.ts"));
  });

  test("without one there are the defaults, and no agents", async () => {
    const { root } = made({});
    expect((await open(root)).configFile).toBeNull();
    const error = await refusal(names(root));
    expect(error.code).toBe("CONFIG_NOT_FOUND");
    expect(error.hint).toContain("defineConfig");
    expect(error.hint).toContain("--agents");
  });

  test.each([
    ["export default 5;", "its default export is a number"],
    ["export const config = {};", "its default export is missing"],
    ["export default [];", "a list"],
    ["export default { server: 5 };", "server in"],
    ["export default { sever: {} };", "Did you mean server?"],
    ["export default { server: { prot: 1 } };", "Did you mean server.port?"],
    ["export default { colour: 1 };", "Known are: agents,"],
    ["export default {", "it cannot be loaded"],
    ["throw new Error('out of order');", "out of order"],
    ["import './nowhere.ts'; export default {};", "nowhere.ts"],
  ])("%s is refused", async (text, said) => {
    const { root } = made({ "longhaul.config.ts": text });
    const error = await refusal(open(root));
    expect(error.code).toBe("CONFIG_INVALID");
    expect(`${error.message} ${error.hint}`).toContain(said);
    expect(error.message).toContain("longhaul.config.ts");
  });
});

describe("agents", () => {
  test("are the exports of the files named, in any mixture", async () => {
    const { root } = made({
      "longhaul.config.ts": `
        import { agent } from "longhaul";
        export default { agents: [agent({ name: "inline", run: () => 1 }), "./agents", "./more/*.ts", "single.mjs"] };`,
      "agents/a.ts": agentFile("a1", "a2"),
      "agents/deep/b.ts": agentFile("b"),
      "agents/helper.ts": "export const notAnAgent = { name: 'x' }; export default 5;",
      "more/c.ts": `${agentFile("c")}\nexport default c;`,
      "single.mjs": 'import { agent } from "longhaul"; export const d = agent({ name: "d", run() {} });',
    });
    expect(await names(root)).toEqual(["a1", "a2", "b", "c", "d", "inline"]);
  });

  test("an agent that the config imports and a folder exports is one agent", async () => {
    const { root } = made({
      "longhaul.config.ts": `import { a } from "./agents/a.ts"; export default { agents: [a, "./agents"] };`,
      "agents/a.ts": agentFile("a"),
    });
    expect(await names(root)).toEqual(["a"]);
  });

  test("--agents and LONGHAUL_AGENTS go before the file, relative to the working directory", async () => {
    const { root } = made({
      "longhaul.config.ts": "export default { agents: './agents' };",
      "agents/a.ts": agentFile("a"),
      "sub/b.ts": agentFile("b"),
    });
    expect(await names(join(root, "sub"))).toEqual(["a"]);
    expect(await names(join(root, "sub"), { agents: ["*.ts"] })).toEqual(["b"]);
    expect(await names(root, { env: { LONGHAUL_AGENTS: "sub, agents" } })).toEqual(["a", "b"]);
  });

  test("a fresh project sees changed files, also those imported by others", async () => {
    const project = made({
      "longhaul.config.ts": "export default { agents: './agents' };",
      "agents/a.ts": `import { agent } from "longhaul"; import { name } from "../name.ts"; export const a = agent({ name, run() {} });`,
      "name.ts": 'export const name = "before";',
    });
    expect(await names(project.root)).toEqual(["before"]);
    project.write("name.ts", 'export const name = "after";');
    expect(await names(project.root, { fresh: true })).toEqual(["after"]);
  });

  test.each([
    ["export default {};", "it names no agents"],
    ["export default { agents: './nowhere' };", "./nowhere matches no file in"],
    ["export default { agents: './agents/none.ts' };", "none exports an agent"],
    ["export default { agents: ['./agents/a.ts', './agents/twin.ts'] };", "two agents have the name a"],
    ["export default { agents: [{ name: 'a', run() {} }] };", "something that is no agent"],
    ["export default { agents: { a: 1 } };", "it is not a list"],
    ["export default { agents: './agents/broken.ts' };", "cannot be loaded"],
  ])("%s is refused", async (config, said) => {
    const { root } = made({
      "longhaul.config.ts": config,
      "agents/a.ts": agentFile("a"),
      "agents/twin.ts": agentFile("a"),
      "agents/none.ts": "export const x = 1;",
      "agents/broken.ts": "export const = 1;",
    });
    const error = await refusal(names(root));
    expect(error.code).toBe("CONFIG_INVALID");
    expect(error.message).toContain(said);
    expect(error.hint).not.toBe("");
  });
});
