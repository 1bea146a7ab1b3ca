// Runs that need all of the memory or all of the time of whatever process runs them: found out and set aside like those that kill.
import { expect, test } from "vitest";
import { deathsOf, submit, usePoisonStage } from "./poison-stage.ts";

const stage = usePoisonStage();

test.each([
  ["memory", { NODE_OPTIONS: "--max-old-space-size=96" }, /^(SIGABRT|exit code 134)$/, "heap out of memory"],
  ["loop", { LONGHAUL_STALL_MS: "1500" }, /^SIGKILL$/, "the event loop was blocked for 1500 ms"],
])(
  "a run that needs without end: %s",
  async (how, env, end, says) => {
    const supervisor = stage.start(env);
    const { url } = await supervisor.event("ready");
    const neighbour = await submit(url, "steady");
    const runId = await submit(url, "poison", how);
    expect(await stage.quarantined(runId)).toContain("quarantined");
    expect(await stage.longhaul.wait(neighbour)).toMatchObject({ status: "succeeded" });
    stage.expectTriedAlone(how, supervisor);
    for (const death of deathsOf(supervisor)) expect(death).toMatch(end);
    expect(supervisor.stderr).toContain(says);
  },
  60_000,
);
