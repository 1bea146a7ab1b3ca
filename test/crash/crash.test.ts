// A few crash points of all, on every run of the suite; `npm run test:crash` tries every one.
import { describe, expect, test } from "vitest";
import { survey, tryPoints } from "./enumerate.ts";
import { Counter } from "./fault.ts";
import { faultsOf, nameOf, parsePoint, pointsOf } from "./point.ts";
import { RequestReader } from "./protocol.ts";
import { workloadNamed } from "./workloads.ts";

/** Where things change hands: the first request of each kind is struck in every way. */
const CHOSEN: Readonly<Record<string, readonly string[]>> = {
  plain: ["lh_claim", "lh_append", "lh_settle"],
  transaction: ["commit"],
  queue: ["lh_claim", "lh_settle"],
  streaming: ["lh_write_tokens"],
  alone: ["lh_submit_and_claim"],
  spending: ["lh_open_call", "lh_append_spent"],
};

describe.each(Object.keys(CHOSEN))("the workload %s", (name) => {
  test("keeps every promise where it claims, records and lets go", { timeout: 300_000 }, async () => {
    const workload = workloadNamed(name);
    const clean = await survey(workload);
    const requests = CHOSEN[name]?.map((label) => [...clean.requests].find(([, l]) => l === label)?.[0] ?? "") ?? [];
    const points = pointsOf(name, faultsOf(workload.victim), requests);
    const reports = await tryPoints(workload, points, clean, 4);
    expect(reports.filter(({ violations }) => violations.length > 0)).toEqual([]);
    expect(reports.map(({ name }) => name).toSorted()).toEqual(points.map(nameOf).toSorted());
    expect(reports.filter(({ struck }) => struck === null).length).toBeLessThan(points.length / 10);
  });
});

describe("the harness", () => {
  test("a point is found by its name, and nothing else passes for one", () => {
    for (const name of ["plain:kill-before:17", "waits-cold:zombie-after:tick-2"]) {
      expect(nameOf(parsePoint(name))).toBe(name);
    }
    for (const name of ["plain", "plain:kill:1", "plain:kill-before:", "plain:burn-before:1"]) {
      expect(() => parsePoint(name)).toThrow("not the name of a crash point");
    }
  });

  test("requests are told apart wherever the bytes are split", () => {
    const bytes = Buffer.concat([
      startup("longhaul"),
      message("P", "lh_append\0select 1\0\0\0"),
      message("B", "\0lh_append\0\0\0\0\0\0\0"),
      message("E", "\0\0\0\0\0"),
      message("S", ""),
      message("Q", "begin\0"),
      message("B", "\0lh_append\0\0\0\0\0\0\0"),
      message("S", ""),
    ]);
    for (const size of [1, 2, 7, bytes.length]) {
      const reader = new RequestReader();
      const labels: string[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        labels.push(...reader.push(bytes.subarray(at, at + size)).map(({ label }) => label));
      }
      expect(labels).toEqual(["startup", "lh_append", "begin", "lh_append"]);
      expect(reader.parameters.get("application_name")).toBe("longhaul");
    }
  });

  test("what time causes is counted apart from what the workload causes", () => {
    const counter = new Counter();
    for (const label of ["lh_claim", "lh_tick", "lh_append", "lh_tick", "lh_append"]) {
      void counter.onRequest({ label, application: "longhaul" });
    }
    expect([...counter.seen]).toEqual([
      ["1", "lh_claim"],
      ["tick-1", "lh_tick"],
      ["2", "lh_append"],
      ["tick-2", "lh_tick"],
      ["3", "lh_append"],
    ]);
  });
});

function message(type: string, body: string): Buffer {
  const header = Buffer.alloc(5, type);
  header.writeInt32BE(4 + Buffer.byteLength(body), 1);
  return Buffer.concat([header, Buffer.from(body)]);
}

function startup(application: string): Buffer {
  const body = Buffer.from(`user\0me\0application_name\0${application}\0\0`);
  const header = Buffer.alloc(8);
  header.writeInt32BE(8 + body.length, 0);
  header.writeInt32BE(196_608, 4);
  return Buffer.concat([header, body]);
}
