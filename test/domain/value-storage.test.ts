// PostgreSQL takes every encoded value into a text column and gives back the same text (fault 28: NUL, lone surrogates).
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decodeValue, encodeValue } from "../../src/domain/value.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { anyString, anySupported, levelled, same } from "./arbitraries.ts";

let fresh: FreshDatabase;

beforeAll(async () => {
  fresh = await freshDatabase({ migrated: false });
});

afterAll(() => fresh?.drop());

test("values survive a text column", async () => {
  const values = fc.sample(fc.oneof(anySupported, anyString), 500);
  values.push("\u0000", "\ud800", { "\u0000": "\udfff" }, "\ud83d\ude00", new Error("\u0000\ud800"));
  const texts = values.map((value) => encodeValue(value));
  const rows = await fresh.db.query<{ body: string }>(
    "select body from unnest($1::text[]) with ordinality as stored(body, place) order by place",
    [texts],
  );
  expect(rows.map((row) => row.body)).toEqual(texts);
  for (const [index, { body }] of rows.entries()) {
    const back = decodeValue(body);
    if (!(back instanceof Error)) expect(same(back, levelled(values[index])), body).toBe(true);
    else expect(back.message).toBe("\u0000\ud800");
  }
});
