// How the suite runs: real processes and one real PostgreSQL, so forks, generous time-outs and a shared server.
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    teardownTimeout: 15_000,
    globalSetup: ["test/support/global-setup.ts"],
    passWithNoTests: false,
    // Many tests kill and freeze real processes against short leases: on a busy machine one may need a second try, and says so.
    retry: process.env["CI"] === undefined ? 0 : 2,
  },
});
