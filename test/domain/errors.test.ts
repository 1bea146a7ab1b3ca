// The catalogue of errors: its order, its wording, its page, and that every code is used.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { errorsPage } from "../../scripts/errors-page.ts";
import { type CatalogueEntry, catalogue, fail, isLonghaulError, LonghaulError } from "../../src/domain/errors.ts";

const entries = Object.entries<CatalogueEntry>(catalogue);
const codes = entries.map(([code]) => code);

describe("the catalogue", () => {
  test("is in alphabetical order", () => {
    expect(codes).toEqual([...codes].sort());
  });

  test.each(entries)("%s says what, and what to do, in sentences", (code, entry) => {
    expect(code).toMatch(/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/);
    expect(entry.message).toMatch(/^([A-Z{]|ctx\.).*[.}]$/s);
    expect(entry.hint).toMatch(/^[A-Z{].*[.}]$/s);
    expect(entry.status).toBeGreaterThanOrEqual(400);
    expect(entry.status).toBeLessThan(600);
  });

  test("is the page docs/reference/errors.md (if not: npm run errors)", () => {
    expect(readFileSync("docs/reference/errors.md", "utf8")).toBe(errorsPage());
  });

  test("has no code that nothing raises", () => {
    const source = execFileSync("git", ["grep", "-h", "--untracked", "-E", "[\"'][A-Z0-9_]+[\"']", "--", "src"], {
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
    });
    expect(codes.filter((code) => !source.includes(`"${code}"`))).toEqual([]);
  });
});

describe("fail", () => {
  test("fills message and hint, and keeps cause and details", () => {
    const cause = new Error("below");
    const error = fail(
      "EMBEDDED_FAILED",
      { reason: "no room", logFile: "/tmp/log" },
      { cause, details: { freeBytes: 0 } },
    );
    expect(error).toBeInstanceOf(LonghaulError);
    expect(error).toMatchObject({
      name: "LonghaulError",
      code: "EMBEDDED_FAILED",
      status: 500,
      retryable: false,
      message: "The embedded PostgreSQL did not start: no room.",
      hint: "Read /tmp/log; to use a PostgreSQL of your own instead, set DATABASE_URL.",
      details: { freeBytes: 0 },
    });
    expect(error.cause).toBe(cause);
  });

  test("does not interpret what it fills in", () => {
    expect(fail("SCHEMA_NAME_INVALID", { schema: "$& {schema}" }).message).toBe(
      "$& {schema} cannot be the name of the schema.",
    );
  });

  test("has no cause where none was given", () => {
    expect("cause" in fail("TRANSACTION_ABORTED")).toBe(false);
  });

  test("asks the compiler for the parameters of the code", () => {
    // @ts-expect-error: the parameter is called schema
    expect(fail("SCHEMA_NAME_INVALID", { name: "x" }).message).toContain("{schema}");
  });
});

test("isLonghaulError tells our errors, and which", () => {
  const error = fail("TRANSACTION_ABORTED");
  expect(isLonghaulError(error)).toBe(true);
  expect(isLonghaulError(error, "TRANSACTION_ABORTED")).toBe(true);
  expect(isLonghaulError(error, "SCHEMA_DRIFT")).toBe(false);
  expect(isLonghaulError(new Error("other"))).toBe(false);
  expect(isLonghaulError({ name: "LonghaulError", code: "SCHEMA_DRIFT" })).toBe(false);
});
