// The examples for KEDA are what KEDA reads, and what they ask for is answered: by a real server, and by a real database.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { type House, openHouse } from "../server/harness.ts";

interface Trigger {
  readonly type: string;
  readonly metricType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly authenticationRef?: { readonly name: string };
}

interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly scaleTargetRef?: { readonly name: string };
    readonly minReplicaCount?: number;
    readonly maxReplicaCount?: number;
    readonly triggers?: readonly Trigger[];
  };
}

function resources(file: string): Resource[] {
  const documents = parseAllDocuments(readFileSync(`deploy/keda/${file}`, "utf8"));
  expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
  return documents.map((document) => document.toJS() as Resource);
}

function triggerOf(all: readonly Resource[]): Trigger {
  const object = all.find(({ kind }) => kind === "ScaledObject");
  expect(object).toMatchObject({ spec: { scaleTargetRef: { name: "longhaul-worker" }, minReplicaCount: 0 } });
  const [trigger, ...others] = object?.spec.triggers ?? [];
  expect(others).toEqual([]);
  if (trigger === undefined) throw new Error("no trigger");
  // Metadata of a trigger is text, whatever it says.
  expect(Object.values(trigger.metadata).every((value) => typeof value === "string")).toBe(true);
  expect(trigger.metricType).toBe("AverageValue");
  return trigger;
}

let house: House;
beforeAll(async () => {
  house = await openHouse();
  for (let n = 0; n < 300; n++) await house.longhaul.submit("echo", n, { build: "v1" });
});
afterAll(() => house.close());

describe("deploy/keda", () => {
  test("http.yaml: the number is where KEDA looks for it", async () => {
    const { type, metadata } = triggerOf(resources("http.yaml"));
    expect(type).toBe("metrics-api");
    const asked = new URL(metadata.url as string);
    const response = await fetch(`${house.server.url}${asked.pathname}${asked.search}`);
    expect(response.status).toBe(200);
    const answer = (await response.json()) as Record<string, unknown>;
    expect(answer[metadata.valueLocation as string]).toBe(3);
    expect([metadata.targetValue, metadata.activationTargetValue]).toEqual(["1", "0"]);
  });

  test("sql.yaml: the query gives one number, the same", async () => {
    const all = resources("sql.yaml");
    const { type, metadata, authenticationRef } = triggerOf(all);
    expect(type).toBe("postgresql");
    expect(all.find(({ kind }) => kind === "TriggerAuthentication")?.metadata.name).toBe(authenticationRef?.name);
    const rows = await house.database.db.query(metadata.query as string);
    expect(rows).toHaveLength(1);
    expect(Object.values(rows[0] as object)).toEqual([3]);
    expect([metadata.targetQueryValue, metadata.activationTargetQueryValue]).toEqual(["1", "0"]);
  });
});
