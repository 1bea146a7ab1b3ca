// Runs that meet a limit: they sleep as a row until it refills, and do not begin before there is room for what they need.
import { generateText } from "ai";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import type { LonghaulProcess } from "../../src/runtime/connect.ts";
import { startFakeProvider } from "../support/fake-provider/fake-provider.ts";
import type { FakeProvider } from "../support/fake-provider/handle.ts";
import { until, untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();
let fake: FakeProvider;
beforeAll(async () => {
  fake = await startFakeProvider();
});
beforeEach(() => {
  fake.clear();
  fake.behave({ reply: { text: "so be it" } });
});
afterAll(() => fake.close());

/** One provider for each test: a bucket of six calls, and then one each second and a bit. */
function worker(name: string, agents: Parameters<typeof stage.worker>[0]): Promise<LonghaulProcess> {
  const provider = { kind: "openai", api: "chat", baseUrl: fake.urls.openai, apiKey: fake.key } as const;
  const gateway = { hold: "100 ms", providers: { [name]: { ...provider, limits: { "*": { rpm: 60, rpd: 500 } } } } };
  return stage.worker(agents, {}, { gateway });
}

test("a run that meets a limit waits as a row with the reason, goes on when it refills, and no call is lost or made twice", async () => {
  const asker = agent({
    name: "asker",
    async run(ctx) {
      for (let n = 1; n <= 8; n++) await generateText({ model: ctx.model("slow/gpt-5"), prompt: `question ${n}` });
      return "asked";
    },
  });
  const longhaul = await worker("slow", [asker]);
  const handle = await longhaul.submit(asker, null);
  await untilStatus(longhaul, handle.runId, "waiting");
  const why = await longhaul.why(handle.runId);
  expect(why.sentence).toContain("quota slow/");
  expect(await handle.result()).toBe("asked");
  const asked = fake.calls.map(({ body }) => JSON.stringify(body).match(/question \d/)?.[0]);
  expect(asked).toEqual(Array.from({ length: 8 }, (_, place) => `question ${place + 1}`));
  expect(fake.counts().refused).toBe(0);
});

test("a run whose needs have no room is not begun, and holds no slot, until they have", async () => {
  const greedy = agent({
    name: "greedy",
    async run(ctx) {
      await Promise.all([1, 2, 3, 4, 5].map((n) => generateText({ model: ctx.model("small/gpt-5"), prompt: `g${n}` })));
    },
  });
  let begun = false;
  const careful = agent({
    name: "careful",
    needs: { model: "small/gpt-5", calls: 5, tokens: 1_000 },
    async run(ctx) {
      begun = true;
      await generateText({ model: ctx.model("small/gpt-5"), prompt: "careful" });
      return "done";
    },
  });
  const longhaul = await worker("small", [greedy, careful]);
  await longhaul.run(greedy, null);
  const handle = await longhaul.submit(careful, null);
  await untilStatus(longhaul, handle.runId, "waiting");
  expect(begun).toBe(false);
  expect((await longhaul.why(handle.runId)).sentence).toContain("room for 5 calls");
  await until(() => begun);
  expect(await handle.result()).toBe("done");
});

test("needs that no limit will ever have room for end the run with the reason, and needs that are none are refused at once", async () => {
  const never = agent({
    name: "never",
    needs: { model: "tiny/gpt-5", calls: 1_000, tokens: 1_000 },
    run: () => "never",
  });
  const longhaul = await worker("tiny", [never]);
  const handle = await longhaul.submit(never, null);
  await expect(handle.result()).rejects.toThrow("of which there are never more than 500");
  for (const calls of [0, -1, Number.NaN, 1.5])
    expect(() => agent({ name: "bad", needs: { model: "m", calls, tokens: 1 }, run: () => null })).toThrow(
      "needs.calls",
    );
});
