// The guide to models, done as it is written: its agent and its config file are loaded like a user's, and calls go where it says.
import { readFileSync } from "node:fs";
import { generateText, tool } from "ai";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import * as longhaulAi from "../../src/ai.ts";
import { checkGateway } from "../../src/gateway/check-config.ts";
import type { GatewayConfig } from "../../src/gateway/config.ts";
import * as longhaul from "../../src/index.ts";
import * as openaiAgents from "../../src/openai-agents.ts";
import { openProject } from "../../src/runtime/project.ts";
import { startFakeProvider } from "../support/fake-provider/fake-provider.ts";
import type { FakeProvider } from "../support/fake-provider/handle.ts";
import { until, useStage } from "../support/longhaul.ts";
import { type TestProject, testProject } from "../support/project.ts";

const GUIDE = readFileSync(new URL("../../docs/guides/models.md", import.meta.url), "utf8");
const BLOCKS = [...GUIDE.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code ?? "");
const stage = useStage();
let project: TestProject;
let fake: FakeProvider;
/** As it is written, and with its providers moved to the fake one. */
let written: GatewayConfig;
let gateway: GatewayConfig;
let researcher: longhaul.AnyAgent;
let desk: longhaul.AnyAgent;
let triage: longhaul.AnyAgent;

interface Question {
  readonly model: string;
  readonly prompt: string;
  readonly cache?: string;
  readonly tools?: boolean;
}

const asker = (budget?: { usd: number }) =>
  longhaul.agent({
    name: "asker",
    ...(budget === undefined ? {} : { budget }),
    async run(ctx, input) {
      const { model, prompt, cache, tools } = input as Question;
      const look = tool({ inputSchema: z.object({}), execute: () => "nothing" });
      const { text } = await generateText({
        model: ctx.model(model, cache === undefined ? {} : { cache }),
        prompt,
        ...(tools === true ? { tools: ctx.tools({ look }) } : {}),
        ...ctx.ai,
      });
      return text;
    },
  });

beforeAll(async () => {
  fake = await startFakeProvider();
  const [agentFile = "", deskFile = "", configFile = "", triageFile = ""] = BLOCKS;
  project = testProject({
    "longhaul.config.ts": configFile,
    "agents/researcher.ts": agentFile,
    "agents/desk.ts": deskFile,
    "agents/triage.ts": triageFile,
  });
  const opened = await openProject({
    cwd: project.root,
    modules: { longhaul, "longhaul/ai": longhaulAi, "longhaul/openai-agents": openaiAgents },
    agents: ["./agents"],
  });
  written = opened.gateway ?? {};
  const agents = new Map((await opened.agents()).map(({ agent }) => [agent.name, agent]));
  [desk, researcher, triage] = ["desk", "researcher", "triage"].map((name) =>
    agents.get(name),
  ) as longhaul.AnyAgent[] as [longhaul.AnyAgent, longhaul.AnyAgent, longhaul.AnyAgent];
  const { openai, anthropic, local } = written.providers as Record<string, object>;
  const { urls, key: apiKey } = fake;
  gateway = {
    ...written,
    providers: {
      openai: { ...openai, api: "chat", baseUrl: urls.openai, apiKey },
      anthropic: { ...anthropic, baseUrl: urls.anthropic, apiKey },
      local: { ...local, kind: "openai-compatible", baseUrl: urls.compatible, apiKey },
    },
  };
});

beforeEach(() => {
  fake.script = null;
  fake.behave({ reply: { text: "an answer" } });
  fake.clear();
});

afterAll(async () => {
  await fake.close();
  project.remove();
});

/** Who was asked, for a question to a model of the config. */
async function asked(question: Question, budget?: { usd: number }): Promise<(string | null)[]> {
  const agent = asker(budget);
  const worker = await stage.worker([agent], {}, { gateway });
  expect(await worker.run(agent, question)).toBe("an answer");
  return fake.calls.map(({ model }) => model);
}

test("it has three agents, a config file, and a line of one more", () => {
  expect(BLOCKS).toHaveLength(5);
  expect([researcher.name, desk.name, triage.name]).toEqual(["researcher", "desk", "triage"]);
});

test("small tasks of several runs go out as one request", async () => {
  fake.script = ({ lastUserText }) => {
    const { items } = JSON.parse(lastUserText) as { items: { id: number; input: string }[] };
    return { json: { results: items.map(({ id, input }) => ({ id, output: { label: input } })) } };
  };
  const worker = await stage.worker([triage], {}, { gateway });
  const tickets = ["bug", "billing", "other"];
  expect(await Promise.all(tickets.map((ticket) => worker.run("triage", ticket)))).toEqual(tickets);
  expect(fake.calls).toHaveLength(1);
});

test("the agent of the OpenAI Agents SDK waits for a person before it does what costs", async () => {
  fake.behave({ reply: { turns: [{ toolCalls: [{ name: "refund", arguments: { order: "7" } }] }, { text: "done" }] } });
  const worker = await stage.worker([desk], {}, { gateway });
  const run = await worker.submit("desk", "pay order 7 back");
  const [question] = await until(async () => {
    const pending = await worker.approvals({ runId: run.runId, status: "pending" });
    return pending.length > 0 && pending;
  });
  expect(question).toMatchObject({ name: "refund", request: { order: "7" } });
  await worker.approve(question?.approvalId ?? "", { by: "ann" });
  expect(await run.result()).toBe("done");
  expect(fake.calls.map(({ model }) => model)).toEqual(["claude-sonnet-4-5", "claude-sonnet-4-5"]);
  expect(JSON.stringify(fake.calls[1]?.body)).toContain("order 7 is paid back");
});

test("the agent makes each call and each tool's once, inside its budget", async () => {
  fake.behave({
    reply: { loop: { tool: "search", times: 2, arguments: { words: "tides {round}" } }, text: "the moon" },
  });
  const worker = await stage.worker([researcher], {}, { gateway });
  const run = await worker.submit("researcher", "why are there tides?");
  expect(await run.result()).toBe("the moon");
  expect(fake.calls).toHaveLength(3);
  expect(JSON.stringify(fake.calls[2]?.body)).toContain("what is known of tides 2");
  const keys = (await worker.inspect(run.runId))?.steps.map(({ key }) => decodeURIComponent(key.split("@")[0] ?? ""));
  expect(keys).toEqual([
    "model openai/gpt-5-mini",
    "search",
    "model openai/gpt-5-mini",
    "search",
    "model openai/gpt-5-mini",
  ]);
  const features = await stage.db.query("select distinct feature from longhaul.calls where run_id = $1", [run.runId]);
  expect(features).toEqual([{ feature: "research" }]);
});

test("the limits are those that it names", () => {
  const limitsOf = (name: string) =>
    checkGateway(written)
      .providers.get(name)
      ?.limits.map(({ pattern, limits: { countCached: _, ...counts } }) => [pattern, counts]);
  expect(limitsOf("openai")).toEqual([
    ["gpt-5", { tpm: 450_000, concurrent: 50 }],
    ["*", { rpm: 5_000, tpm: 2_000_000 }],
  ]);
  expect(limitsOf("anthropic")).toEqual([["claude-sonnet-*", { rpm: 4_000, itpm: 2_000_000, otpm: 400_000 }]]);
});

describe("a call goes", () => {
  test.each<[string, Question, string]>([
    ["to the model of its alias", { model: "cheap", prompt: "go" }, "gpt-5-mini"],
    ["to the first target of a chain", { model: "smart", prompt: "go" }, "claude-sonnet-4-5"],
    ["by the rule, a small one to the cheap model", { model: "auto", prompt: "go" }, "gpt-5-mini"],
    [
      "by the rule, a large one to the smart model",
      { model: "auto", prompt: "word ".repeat(4_000) },
      "claude-sonnet-4-5",
    ],
    [
      "by the rule, one with tools to the smart model",
      { model: "auto", prompt: "go", tools: true },
      "claude-sonnet-4-5",
    ],
  ])("%s", async (_, question, model) => {
    expect(await asked(question)).toEqual([model]);
  });

  test("to the next target when the first is overloaded", async () => {
    fake.behave({
      rules: [{ when: { model: "claude-*" }, reply: { fault: "overloaded" } }],
      reply: { text: "an answer" },
    });
    const models = await asked({ model: "smart", prompt: "fail over" });
    // The first may be tried once more before.
    expect([models[0], models.at(-1), models.length <= 4]).toEqual(["claude-sonnet-4-5", "gpt-5", true]);
  });

  test("nowhere when its answer is kept", async () => {
    const question = { model: "cheap", prompt: "asked twice", cache: "1 day" };
    expect(await asked(question)).toHaveLength(1);
    expect(await asked(question)).toHaveLength(1);
  });

  test("to a model whose price the file gives, under a budget in dollars", async () => {
    expect(await asked({ model: "local/llama", prompt: "go" }, { usd: 0.000_001 })).toEqual(["llama"]);
  });
});

test("what it says in the middle of a sentence can be written like that", () => {
  const options = [...GUIDE.matchAll(/`agent\(\{ ([^`]*) \}\)`/g)].map(([, text]) => text ?? "");
  expect(options).toHaveLength(2);
  for (const text of options) {
    const given = new Function(`return { ${text} }`)() as object;
    expect(longhaul.agent({ name: "inline", run: () => null, ...given })).toMatchObject({ name: "inline" });
  }
});
