// What the root of the package exports: few values, and none by accident.
import { expect, test } from "vitest";
import * as longhaul from "../src/index.ts";

test("the values at the root", () => {
  expect(Object.keys(longhaul).sort()).toEqual([
    "LonghaulError",
    "NonRetryableError",
    "RetryableError",
    "VERSION",
    "agent",
    "connect",
    "defineConfig",
    "isLonghaulError",
  ]);
});
