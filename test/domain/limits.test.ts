// The limits are usable numbers and do not contradict each other.
import { expect, test } from "vitest";
import * as limits from "../../src/domain/limits.ts";

const values = { ...limits };

test.each(Object.entries(values))("%s is a positive number", (name, value) => {
  expect(value).toBeGreaterThan(0);
  expect(Number.isInteger(value)).toBe(!name.endsWith("_PART"));
});

test.each([
  ["INLINE_VALUE_BYTES_MAX", "VALUE_BYTES_MAX"],
  ["VALUE_BYTES_MAX", "VALUE_BYTES_HARD_MAX"],
  ["VALUE_DEPTH_MAX", "VALUE_DEPTH_HARD_MAX"],
  ["BODY_BYTES_MAX", "BODY_BYTES_HARD_MAX"],
  ["PAGE_SIZE_DEFAULT", "PAGE_SIZE_MAX"],
  ["CHILDREN_MAX", "TREE_RUNS_MAX"],
  ["STREAM_CLIENTS_PER_TENANT_MAX", "STREAM_CLIENTS_MAX"],
  ["WORKER_SLOTS_DEFAULT", "WORKER_SLOTS_MAX"],
  ["INLINE_VALUE_BYTES_MAX", "APPEND_BYTES_MAX"],
] as const)("%s is less than %s", (less, more) => {
  expect(values[less]).toBeLessThan(values[more]);
});

test("two keys and a run id fit an entry of a btree index (2,704 bytes)", () => {
  expect(2 * limits.KEY_BYTES_MAX + 100).toBeLessThan(2_704);
});
