// Changing some members of a JSON text leaves every other byte of it as it was.
import fc from "fast-check";
import { expect, test } from "vitest";
import { withMembers } from "../../../src/gateway/openai/members.ts";

test("a member is replaced where it stands, and added at the end where it is not", () => {
  expect(withMembers('{"model":"a","x":1}', { model: "b" })).toBe('{"model":"b","x":1}');
  expect(withMembers('{ "x": 1 }', { model: "b" })).toBe('{ "x": 1 ,"model":"b"}');
  expect(withMembers("{}", { model: "b" })).toBe('{"model":"b"}');
  expect(withMembers(' {"a":[{"model":1}],"model" : "x" } \n', { model: "y" })).toBe(
    ' {"a":[{"model":1}],"model" :"y"} \n',
  );
});

test("numbers that JavaScript would round, odd keys and repeated ones are kept or all replaced", () => {
  const text = String.raw`{"seed":12345678901234567890,"t":1.0,"mod\u0065l":"a","s":"\"model\":{\\","model":"c"}`;
  expect(withMembers(text, { model: "z" })).toBe(
    String.raw`{"seed":12345678901234567890,"t":1.0,"mod\u0065l":"z","s":"\"model\":{\\","model":"z"}`,
  );
});

test("for any object it is what setting the members would give", () => {
  const object = fc.dictionary(
    fc.string(),
    fc.jsonValue({ maxDepth: 3 }).filter((value) => !Object.is(value, -0)),
  );
  fc.assert(
    fc.property(object, fc.boolean(), fc.string(), (given, pretty, model) => {
      const text = JSON.stringify(given, null, pretty ? 2 : 0);
      const changed = withMembers(text, { model, stream_options: { include_usage: true } });
      expect(JSON.parse(changed)).toEqual({ ...JSON.parse(text), model, stream_options: { include_usage: true } });
    }),
  );
});
