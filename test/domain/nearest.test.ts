// A slip of the finger finds the name that was meant; another word finds none.
import { expect, test } from "vitest";
import { nearest } from "../../src/domain/nearest.ts";

const known = ["server", "worker", "runs list", "queues", "a"];

test.each([
  ["sever", "server"],
  ["servre", "server"],
  ["SERVER", "server"],
  ["woker", "worker"],
  ["workre", "worker"],
  ["quues", "queues"],
  ["runs lst", "runs list"],
  ["b", "a"],
  ["banana", undefined],
  ["", undefined],
  ["serverserver", undefined],
])("%s → %s", (written, meant) => {
  expect(nearest(written, known)).toBe(meant);
});

test("nothing is near to nothing known", () => {
  expect(nearest("x", [])).toBeUndefined();
});
