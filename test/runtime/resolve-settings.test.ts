// A setting comes from the nearest place that names it, and says which that was.
import { describe, expect, test } from "vitest";
import { isLonghaulError } from "../../src/domain/errors.ts";
import { redactUrl, resolveSettings, type SettingSources } from "../../src/runtime/resolve-settings.ts";
import { settingNames, settingSpecs } from "../../src/runtime/settings.ts";

const base: SettingSources = { root: "/project", cwd: "/project/sub", file: "/project/longhaul.config.ts" };

describe("precedence", () => {
  const config = { server: { port: 4000 }, database: { schema: "from_file" } };

  test("flags before environment before file before default", () => {
    const all = { ...base, config, env: { LONGHAUL_PORT: "5000", PORT: "6000" }, flags: { port: "7000" } };
    expect(resolveSettings(all).values.port).toBe(7000);
    expect(resolveSettings({ ...all, flags: {} }).values.port).toBe(5000);
    expect(resolveSettings({ ...all, flags: {}, env: { PORT: "6000" } }).values.port).toBe(6000);
    expect(resolveSettings({ ...all, flags: {}, env: {} }).values.port).toBe(4000);
    expect(resolveSettings(base).values.port).toBe(2024);
  });

  test("says where each value comes from", () => {
    const { origins } = resolveSettings({ ...base, config, env: { PORT: "1" }, flags: { host: "::1" } });
    expect(origins.host).toEqual({ source: "flag", name: "--host" });
    expect(origins.port).toEqual({ source: "env", name: "PORT" });
    expect(origins.schema).toEqual({ source: "file", name: "database.schema" });
    expect(origins.build).toEqual({ source: "default", name: null });
  });

  test("an empty variable is not set, a zero is", () => {
    expect(resolveSettings({ ...base, env: { PORT: "" } }).values.port).toBe(2024);
    expect(resolveSettings({ ...base, env: { PORT: "0" } }).values.port).toBe(0);
  });

  test("paths in the file mean the file's folder, paths elsewhere the working directory", () => {
    expect(resolveSettings(base).values.dataDir).toBe("/project/.longhaul");
    expect(resolveSettings({ ...base, config: { dataDir: "data" } }).values.dataDir).toBe("/project/data");
    expect(resolveSettings({ ...base, env: { LONGHAUL_DATA_DIR: "data" } }).values.dataDir).toBe("/project/sub/data");
    expect(resolveSettings({ ...base, flags: { dataDir: "/data" } }).values.dataDir).toBe("/data");
  });

  test("a list is one of parts, or a text with commas", () => {
    expect(resolveSettings({ ...base, config: { worker: { queues: ["a", "b"] } } }).values.queues).toEqual(["a", "b"]);
    expect(resolveSettings({ ...base, env: { LONGHAUL_QUEUES: "a, b" } }).values.queues).toEqual(["a", "b"]);
  });
});

describe("values that do not fit", () => {
  test.each([
    [{ env: { PORT: "http" } }, "PORT", '"http" is not a whole number from 0 to 65535'],
    [{ env: { PORT: "65536" } }, "PORT", '"65536" is not'],
    [{ env: { LONGHAUL_SLOTS: "1.5" } }, "LONGHAUL_SLOTS", '"1.5" is not a whole number from 1 to 1000'],
    [{ config: { worker: { slots: -1 } } }, "worker.slots in /project/longhaul.config.ts", "-1 is not"],
    [{ config: { worker: { queues: [] } } }, "worker.queues", "[] is not a list that is not empty"],
    [{ config: { worker: { queues: ["a", 5] } } }, "worker.queues", '["a",5] is not a list in which each is'],
    [{ config: { build: null } }, "build", "null is not a text"],
    [{ flags: { logLevel: "loud" } }, "--log-level", '"loud" is not one of debug, info, warn, error'],
    [{ env: { LONGHAUL_TENANT: "a\u0000b" } }, "LONGHAUL_TENANT", "is not a usable tenant name"],
  ])("%j", (sources, place, problem) => {
    const error = thrownBy(() => resolveSettings({ ...base, ...(sources as object) }));
    expect(error.message).toContain(place);
    expect(error.message).toContain(problem);
    expect(error.hint).not.toBe("");
  });

  test("the value of a secret is not repeated", () => {
    const error = thrownBy(() =>
      resolveSettings({ ...base, config: { database: { url: ["postgres://me:pw@db"] as never } } }),
    );
    expect(error.message).not.toContain("pw");
  });

  function thrownBy(work: () => unknown) {
    try {
      work();
    } catch (error) {
      if (isLonghaulError(error, "CONFIG_INVALID")) return error;
      throw error;
    }
    throw new Error("nothing was thrown");
  }
});

test("no two settings share a flag, a variable or a place in the file", () => {
  const specs = settingNames.map((name) => settingSpecs[name]);
  for (const names of [
    specs.map(({ flag }) => flag),
    specs.flatMap(({ env }) => env),
    specs.flatMap(({ file }) => file ?? []),
  ]) {
    expect(new Set(names).size).toBe(names.length);
  }
});

test.each([
  ["postgres://me:secret@db:5432/x", "postgres://me:***@db:5432/x"],
  ["postgres://me:p@ss:word@db/x", "postgres://me:***@db/x"],
  ["postgres://db/x?user=me&password=secret&ssl=1", "postgres://db/x?user=me&password=***&ssl=1"],
  ["postgres://db/x", "postgres://db/x"],
])("%s is shown as %s", (url, shown) => {
  expect(redactUrl(url)).toBe(shown);
});
