// What the tests of models and tools share: a stage with a fake provider over HTTP, and both majors of the AI SDK.
import * as ai6 from "ai";
import * as ai7 from "ai7";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { KIND } from "../../../src/domain/entry.ts";
import { type AnyAgent, agent, type ConnectOptions, type Ctx, type WorkerSettings } from "../../../src/index.ts";
import type { LonghaulProcess } from "../../../src/runtime/connect.ts";
import { startFakeProvider } from "../../support/fake-provider/fake-provider.ts";
import type { FakeProvider } from "../../support/fake-provider/handle.ts";
import { gate, journalOf, type Stage, until, useStage } from "../../support/longhaul.ts";

/** The functions that the tests call are the same in both. */
export const MAJORS = [
  ["6", ai6],
  ["7", ai7 as unknown as typeof ai6],
] as const;

export interface AiStage extends Stage {
  readonly fake: FakeProvider;
  /** `openai/…` of every name is the fake provider; `smart` is one of its models. */
  readonly gateway: NonNullable<ConnectOptions["gateway"]>;
  /** A worker whose models are the fake provider's. */
  aiWorker(agents: readonly AnyAgent[], settings?: WorkerSettings): Promise<LonghaulProcess>;
}

export function useAiStage(): AiStage {
  const stage = useStage();
  let fake: FakeProvider;
  beforeAll(async () => {
    fake = await startFakeProvider();
  });
  beforeEach(() => {
    fake.behave({});
    fake.script = null;
    fake.clear();
  });
  afterAll(() => fake.close());
  const gateway = () => gatewayOf(fake.urls.openai, fake.key);
  return Object.defineProperties(
    {
      aiWorker: (agents: readonly AnyAgent[], settings: WorkerSettings = {}) =>
        stage.worker(agents, settings, { gateway: gateway() }),
    },
    {
      ...Object.getOwnPropertyDescriptors(stage),
      fake: { get: () => fake },
      gateway: { get: gateway },
    },
  ) as AiStage;
}

export function gatewayOf(baseUrl: string, apiKey: string): NonNullable<ConnectOptions["gateway"]> {
  return {
    providers: { openai: { api: "chat", baseUrl, apiKey } },
    models: { smart: "openai/gpt-5-mini" },
  };
}

/** Runs the code, takes the run over once it has got as far as it goes, and gives what both times saw. */
export async function twice<T>(
  stage: AiStage,
  name: string,
  code: (ctx: Ctx) => Promise<T>,
): Promise<{ seen: T[]; runId: string }> {
  const seen: T[] = [];
  const hold = gate();
  const program = agent({
    name,
    async run(ctx) {
      const value = await code(ctx);
      seen.push(value);
      await ctx.step("hold", () => hold.opened);
      return "done";
    },
  });
  const longhaul = await stage.aiWorker([program]);
  const handle = await longhaul.submit(program, null);
  await until(() => seen.length === 1);
  await stage.takeOver(handle.runId);
  await until(() => seen.length === 2);
  hold.open();
  expect(await handle.result()).toBe("done");
  await longhaul.close();
  return { seen, runId: handle.runId };
}

/** Keys of a run's recorded steps. */
export async function stepsOf(stage: Stage, runId: string): Promise<string[]> {
  const entries = await journalOf(stage.db, runId);
  return entries.filter((entry) => entry.kind === KIND.step && entry.key !== "hold#1").map((entry) => entry.key ?? "");
}
