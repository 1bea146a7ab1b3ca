// The commands about costs and charges, as a program and a person call them.
import { afterAll, beforeAll, expect, test } from "vitest";
import { newId } from "../../src/engine/ids.ts";
import { type CliResult, cli } from "../support/cli.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

let database: FreshDatabase;
let project: TestProject;
const runs = Array.from({ length: 20 }, () => newId());

beforeAll(async () => {
  database = await freshDatabase();
  project = testProject({});
  await database.db.query(
    `insert into longhaul.calls (call_id, run_id, root_id, closed_at, est_input, est_output, est_nano_usd, input_tokens, output_tokens, nano_usd, latency_ms, first_chunk_ms,
       attempt, tenant_id, call_key, step_key, agent, feature, provider, model, state)
     select c.id, c.run, c.run, clock_timestamp(), 0, 0, 0, 12000, 300, case when c.n = 1 then 19000000 else 1000000 end, 1500, 200, 1,
            case when c.n % 2 = 0 then 'acme' else 'globex' end, c.run::text, 'answer#1', 'support', 'triage', 'openai', 'gpt-5-mini', 'succeeded'
       from unnest($1::uuid[], $2::uuid[]) with ordinality c(id, run, n)`,
    [runs.map(() => newId()), runs],
  );
  await database.db.query(
    `insert into longhaul.charges (run_id, root_id, finished_at, input_tokens, output_tokens, nano_usd, steps, calls, tenant_id, agent)
     select r.run, r.run, timestamptz '2030-01-31 12:00:00.000100Z' + r.n / 3 * interval '1 microsecond', 1, 2, 3000000, 4, 5,
            case when r.n % 2 = 0 then 'acme' else 'globex' end, 'support'
       from unnest($1::uuid[]) with ordinality r(run, n)`,
    [runs],
  );
});
afterAll(async () => {
  project.remove();
  await database.drop();
});

function longhaul(...args: string[]): Promise<CliResult> {
  return cli(args, { cwd: project.root, env: { DATABASE_URL: database.url } });
}

interface Report {
  readonly lines: { key: string; calls: number; usd: number }[];
  readonly total: { usd: number };
}

test("costs are JSON for a program: by what it says, of the time and the tenant it says", async () => {
  const [byTenant, ofOne, step, old] = (
    await Promise.all([
      longhaul("costs", "--by", "tenant", "--since", "7d"),
      longhaul("costs", "--by", "tenant", "--tenant", "acme", "--json"),
      longhaul("costs", "--by", "step"),
      longhaul("costs", "--until", "1 hour"),
    ])
  ).map((result) => result.json() as Report);
  expect(byTenant?.lines.map(({ key, calls, usd }) => [key, calls, usd])).toEqual([
    ["globex", 10, 0.028],
    ["acme", 10, 0.01],
  ]);
  expect(ofOne?.lines.map(({ key }) => key)).toEqual(["acme"]);
  expect(step?.lines.map(({ key }) => key)).toEqual(["support: answer"]);
  expect([byTenant?.total.usd, old?.lines]).toEqual([0.038, []]);
});

test("the report on concentration says what part the most expensive runs have", async () => {
  const report = (await longhaul("costs", "--report", "concentration")).json() as Record<string, unknown>;
  expect(report).toMatchObject({ runs: 20, usd: 0.038, top: [{ runId: runs[0], usd: 0.019 }, ...Array(9).fill({})] });
  expect(report["shares"]).toContainEqual({ percent: 5, runs: 1, part: 0.5 });
});

test("what cannot be meant is said", async () => {
  const [both, moment, colour] = await Promise.all([
    longhaul("costs", "--report", "concentration", "--by", "agent", "--json"),
    longhaul("costs", "--since", "yesterday", "--json"),
    longhaul("costs", "--by", "colour", "--json"),
  ]);
  expect([both, moment, colour].map((result) => [result.code, result.error().code])).toEqual(
    Array(3).fill([2, "COMMAND_INVALID"]),
  );
});

test("charges come page by page, none twice and none left out, also of one microsecond", async () => {
  const seen: string[] = [];
  for (let after: string | null = null; ; ) {
    const page = (
      await longhaul("charges", "list", "--limit", "7", ...(after === null ? [] : ["--after", after]))
    ).json() as {
      charges: { runId: string; nanoUsd: string }[];
      next: string | null;
    };
    seen.push(...page.charges.map(({ runId }) => runId));
    after = page.next;
    if (after === null) break;
  }
  expect(seen).toHaveLength(20);
  expect(new Set(seen)).toEqual(new Set(runs));
  const own = (await longhaul("charges", "list", "--tenant", "acme", "--since", "2030-01-01")).json() as {
    charges: unknown[];
  };
  expect(own.charges).toHaveLength(10);
});

test("charges that somebody took note of are pending no more, and are taken note of once", async () => {
  const some = runs.slice(0, 3);
  expect((await longhaul("charges", "ack", some.join(","))).json()).toMatchObject({
    acknowledged: expect.arrayContaining(some),
  });
  expect((await longhaul("charges", "ack", some.join(","))).json()).toEqual({ acknowledged: [] });
  const { charges } = (await longhaul("charges", "list", "--pending")).json() as { charges: { runId: string }[] };
  expect(charges.map(({ runId }) => runId).sort()).toEqual(runs.slice(3).sort());
});
