// Scopes are spelled out when a key is made, and misspelt ones are refused.
import { expect, test } from "vitest";
import { SCOPES, scopesOf } from "../../src/domain/scopes.ts";

test.each([
  [["read"], ["runs:read"]],
  [["write"], ["runs:read", "runs:write", "approvals", "models"]],
  [
    ["admin", "read", "runs:read"],
    ["runs:read", "admin"],
  ],
  [[...SCOPES].reverse(), [...SCOPES]],
])("%j is %j", (words, scopes) => {
  expect(scopesOf(words)).toEqual(scopes);
});

test.each([
  [["*"]],
  [["runs:raed"]],
  [["Admin"]],
  [[""]],
  [[" read"]],
  [[]],
  [["toString"]],
  [["__proto__"]],
  [[5]],
  [[null]],
  [["x".repeat(65_536)]],
])("%.40j is refused", (words: unknown[]) => {
  expect(() => scopesOf(words)).toThrow(expect.objectContaining({ code: "SCOPE_UNKNOWN" }));
});

test("a misspelt one is told what was meant, and the text of the error stays short", () => {
  expect(() => scopesOf(["runs:raed"])).toThrow(
    expect.objectContaining({ hint: expect.stringContaining("mean runs:read?") }),
  );
  expect(() => scopesOf(["x".repeat(65_536)])).toThrow(/^.{0,120}$/);
});
