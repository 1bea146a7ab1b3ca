// Runs that kill whatever process runs them: they are found out and set aside, and nobody else is harmed.
import { describe, expect, test } from "vitest";
import { cli } from "../support/cli.ts";
import { deathsOf, submit, usePoisonStage } from "./poison-stage.ts";

const stage = usePoisonStage();

describe("a run that ends its process in its first step", () => {
  test("is tried alone and paused; its 20 neighbours finish; why says so; retry releases it", async () => {
    const supervisor = stage.start();
    const { url } = await supervisor.event("ready");
    const neighbours = await Promise.all(Array.from({ length: 20 }, () => submit(url, "steady")));
    const runId = await submit(url, "poison", "exit");
    const results = await Promise.all(neighbours.map((neighbour) => stage.longhaul.wait(neighbour)));
    expect(results.every(({ status }) => status === "succeeded")).toBe(true);
    expect(await stage.quarantined(runId)).toMatch(
      /^quarantined: the process that ran it died \d times without progress$/,
    );
    stage.expectTriedAlone("exit", supervisor);

    // A body starts again only when its process died before the record: at most once per death of a worker.
    const deaths = deathsOf(supervisor).length;
    const starts = count(stage.linesOf("witness.txt"));
    expect(starts.size).toBe(20 * 6);
    expect(Math.max(...starts.values())).toBeLessThanOrEqual(1 + deaths);

    const why = await cli(["runs", "why", runId], stage.options);
    expect(why.json()).toMatchObject({ code: "paused", commands: [`longhaul runs retry ${runId}`, expect.anything()] });
    expect(why.json<{ sentence: string }>().sentence).toContain(
      "It is paused: quarantined: the process that ran it died",
    );

    stage.project.write("mended-exit", "");
    expect((await cli(["runs", "retry", runId], stage.options)).code).toBe(0);
    expect(await stage.longhaul.wait(runId)).toEqual({ status: "succeeded", output: "mended" });
  }, 60_000);
});

test("a poisonous run that waits in the queue does not keep an installation from starting", async () => {
  const server = stage.start({}, "server");
  const { url } = await server.event("ready");
  const runId = await submit(url, "poison", "throw");
  const neighbour = await submit(url, "steady");
  await server.end();

  const supervisor = stage.start();
  await supervisor.event("ready");
  expect(await stage.longhaul.wait(neighbour)).toMatchObject({ status: "succeeded" });
  expect(await stage.quarantined(runId)).toContain("quarantined");
  stage.expectTriedAlone("throw", supervisor);
  // An exception in a timer is nobody's: it ends the process with a word about it.
  expect(deathsOf(supervisor)).toEqual(["exit code 1", "exit code 1"]);
  expect(supervisor.stderr).toContain("an exception that nobody caught ends the process");
  expect(supervisor.stderr).toContain("thrown in a timer");
}, 60_000);

test("a promise that nobody awaits costs a line in the log, and neither its run nor a neighbour", async () => {
  const supervisor = stage.start();
  const { url } = await supervisor.event("ready");
  const runIds = await Promise.all(["steady", "careless", "steady"].map((agent) => submit(url, agent)));
  for (const runId of runIds) expect(await stage.longhaul.wait(runId)).toEqual({ status: "succeeded", output: "done" });
  expect(deathsOf(supervisor)).toEqual([]);
  const lines = supervisor.stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toContainEqual(
    expect.objectContaining({
      level: "error",
      message: "a promise that nobody awaited was rejected: the process goes on",
      error: expect.objectContaining({ message: "nobody awaits me" }),
    }),
  );
}, 60_000);

function count(lines: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return counts;
}
