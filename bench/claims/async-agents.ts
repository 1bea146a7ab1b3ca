// Hundreds of agents in one process, each of which waits for a model nearly all the time; beside them the same with a thread for each.
import { startFakeProviderProcess } from "../../test/support/fake-provider/fake-provider-process.ts";
import type { CrowdNews, CrowdOrder } from "../async/crowd-program.ts";
import { Child } from "../lab/child.ts";
import type { Claim, Measure } from "../lab/claim.ts";
import type { Lab } from "../lab/lab.ts";

type Kind = "runs" | "threads";
type Done = Extract<CrowdNews, { type: "done" }>;

export const asyncAgents: Claim = {
  name: "async-agents",
  sentence: "500 agents that wait for a model run in one process, in the time of one, at a few kilobytes each",
  async measure(lab) {
    const agents = lab.size(500, 50);
    const calls = lab.size(10, 3);
    const callMs = lab.size(2_000, 500);
    const durable = await crowd(lab, "runs", agents, calls, callMs);
    const threaded = await crowd(lab, "threads", agents, calls, callMs);
    const idealMs = calls * callMs;
    const note = `${agents} agents, ${calls} calls of ${callMs} ms each, one after the other`;
    return [
      {
        what: "wall time, durable runs in one process",
        value: durable.ms,
        unit: "ms",
        baseline: { what: "the calls alone", value: idealMs },
        bar: { of: "ratio", at: "most", limit: 1.1 },
        note,
      },
      {
        what: "wall time, a thread for each, nothing durable",
        value: threaded.ms,
        unit: "ms",
        baseline: { what: "the calls alone", value: idealMs },
      },
      memory("memory of a waiting run, live objects", durable.heapBytes, agents, {
        of: "value",
        at: "most",
        limit: 50,
      }),
      memory("memory of a waiting run, resident", durable.residentBytes, agents),
      memory("memory of a waiting thread, resident", threaded.residentBytes, agents),
    ];
  },
};

function memory(what: string, bytes: number, agents: number, bar?: Measure["bar"]): Measure {
  return { what, value: bytes / agents / 1_024, unit: "kB", ...(bar === undefined ? {} : { bar }) };
}

async function crowd(lab: Lab, kind: Kind, agents: number, calls: number, callMs: number): Promise<Done> {
  lab.say(`${agents} agents as ${kind}, ${calls} calls of ${callMs} ms each`);
  const provider = await startFakeProviderProcess({
    brief: true,
    behaviour: { reply: { latencyMs: callMs, text: "so be it" } },
  });
  const database = await lab.database();
  const child = new Child<CrowdOrder, CrowdNews>(kind, new URL("../async/crowd-program.ts", import.meta.url), {
    CROWD_KIND: kind,
    CROWD_DATABASE: database.url,
    CROWD_PROVIDER: provider.urls.openai,
    CROWD_KEY: provider.key,
    CROWD_CALL_MS: String(callMs),
  });
  try {
    await child.heard("ready");
    child.send({ type: "go", agents, calls });
    return await child.heard("done");
  } finally {
    await child.close();
    await database.drop();
    await provider.stop();
  }
}
