// Patterns find the files that people mean by them, and no others.
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { filesOf, globMatcher } from "../../src/runtime/glob.ts";
import { testProject } from "../support/project.ts";

const project = testProject(
  Object.fromEntries(
    [
      "agents/a.ts",
      "agents/b.mjs",
      "agents/deep/er/c.ts",
      "agents/a.test.ts",
      "agents/types.d.ts",
      "agents/notes.md",
      "agents/node_modules/x/index.js",
      "agents/.hidden/d.ts",
      "agents/dist/e.js",
      "other,name.ts",
    ].map((file) => [file, ""]),
  ),
);
afterAll(() => project.remove());

const found = (pattern: string): string[] =>
  filesOf(pattern, project.root).map((file) => file.slice(project.root.length + 1));

describe("filesOf", () => {
  test.each([
    ["agents", ["agents/a.ts", "agents/b.mjs", "agents/deep/er/c.ts"]],
    ["./agents/", ["agents/a.ts", "agents/b.mjs", "agents/deep/er/c.ts"]],
    ["agents/*.ts", ["agents/a.ts"]],
    ["agents/*.{ts,mjs}", ["agents/a.ts", "agents/b.mjs"]],
    ["./agents/**/*.ts", ["agents/a.ts", "agents/deep/er/c.ts"]],
    ["**/?.ts", ["agents/a.ts", "agents/deep/er/c.ts"]],
    ["agents/deep/*.ts", []],
    ["agents/a.ts", ["agents/a.ts"]],
    ["agents/a.test.ts", ["agents/a.test.ts"]],
    ["agents/.hidden/*.ts", ["agents/.hidden/d.ts"]],
    ["other,name.ts", ["other,name.ts"]],
    ["nowhere", []],
    ["nowhere/**/*.ts", []],
  ])("%s", (pattern, files) => {
    expect(found(pattern)).toEqual(files);
  });

  test("takes absolute patterns", () => {
    expect(filesOf(join(project.root, "agents/*.mjs"), "/")).toEqual([join(project.root, "agents/b.mjs")]);
  });
});

describe("globMatcher", () => {
  test.each([
    ["*.ts", "a.ts", true],
    ["*.ts", "a/b.ts", false],
    ["*.ts", "axts", false],
    ["**/*.ts", "a.ts", true],
    ["**/*.ts", "a/b/c.ts", true],
    ["a/**", "a/b/c", true],
    ["a+(b).ts", "a+(b).ts", true],
    ["{a,b}/c,d.ts", "b/c,d.ts", true],
    ["[ab].ts", "a.ts", false],
  ])("%s on %s: %s", (pattern, path, matches) => {
    expect(globMatcher(pattern)(path)).toBe(matches);
  });
});
