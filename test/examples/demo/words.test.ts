// The rules about words: identifiers, stems, and what of a passage can be quoted.
import { describe, expect, it } from "vitest";
import { partsOf, searchable, stem, stemsOf, synonymsOf, unitsOf, wordsOf } from "../../../examples/demo/words.ts";

it("keeps identifiers, scoped names and options whole", () => {
  expect(wordsOf("Does `pool.connect()` of @hono/node-server take --watch, C++ or pg's URL?")).toEqual([
    "Does",
    "pool.connect",
    "of",
    "@hono/node-server",
    "take",
    "watch",
    "C++",
    "or",
    "pg",
    "URL",
  ]);
});

it("splits camel case and versions, and nothing else", () => {
  expect(partsOf("idleTimeoutMillis")).toEqual(["idle", "Timeout", "Millis"]);
  expect(partsOf("parseJSONValue")).toEqual(["parse", "JSON", "Value"]);
  expect(partsOf("v7")).toEqual(["version", "7"]);
  for (const word of ["pool", "Pool", "JSON"]) expect(partsOf(word)).toEqual([]);
});

it("writes identifiers out for the full-text search", () => {
  expect(searchable("`pg.Pool`: idleTimeoutMillis = 10_000")).toBe(
    "pg Pool idleTimeoutMillis idle Timeout Millis 10 000",
  );
});

it.each([
  ["retry", "retries", "retried", "retrying"],
  ["stop", "stops", "stopped", "stopping"],
  ["validate", "validates", "validated", "validating", "validation"],
  ["connect", "connects", "connected", "connecting", "connection", "connections"],
  ["create", "creates", "created", "creating"],
  ["class", "classes"],
  ["query", "queries", "queried"],
])("sees that %s and its forms are one word", (...forms) => {
  expect(new Set(forms.map(stem))).toHaveLength(1);
});

it("keeps different words apart", () => {
  const words = ["pool", "poll", "pull", "port", "part", "abort", "about", "worker", "work", "status", "state", "this"];
  expect(new Set(words.map(stem))).toHaveLength(words.length);
});

it("takes the meaningful words of a question only", () => {
  expect([...stemsOf("How do I use the pools?")]).toEqual(["pool"]);
});

it("knows what documentation says instead", () => {
  expect(synonymsOf("hiding")).toContain("redact");
  expect(synonymsOf("redact")).toContain("hide");
  expect(synonymsOf("walrus")).toEqual([]);
});

describe("units", () => {
  it("are sentences, list items, table rows and whole code blocks", () => {
    const body = [
      "The pool keeps clients, e.g. ten of them. It closes\nidle ones.",
      "- `max`: how many\n  at most\n- `min`: how few",
      "| name | use |\n| --- | --- |\n| one | first |",
      "```js\npool.end();\n\n// - not an item.\n```",
    ].join("\n\n");
    expect(unitsOf(body)).toEqual([
      { kind: "sentence", text: "The pool keeps clients, e.g. ten of them." },
      { kind: "sentence", text: "It closes idle ones." },
      { kind: "item", text: "`max`: how many at most" },
      { kind: "item", text: "`min`: how few" },
      { kind: "item", text: "name — use" },
      { kind: "item", text: "one — first" },
      { kind: "code", text: "```js\npool.end();\n\n// - not an item.\n```" },
    ]);
  });

  it("take a code block in a list out of its indentation", () => {
    expect(unitsOf("1. Run it:\n\n   ```sh\n   npm test\n     -- more\n   ```")).toEqual([
      { kind: "item", text: "Run it:" },
      { kind: "code", text: "```sh\nnpm test\n  -- more\n```" },
    ]);
  });
});
