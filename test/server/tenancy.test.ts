// Two tenants on one server: whatever the second one asks with ids of the first is answered as for ids that nobody has, and no word
// of the first reaches the second, in bodies, streams, headers or the server's log (47, 49).
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { agent } from "../../src/index.ts";
import { connect, type LonghaulProcess } from "../../src/runtime/connect.ts";
import { ACCESS } from "../../src/server/access.ts";
import { createServer, type RunningServer, serve } from "../../src/server/index.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { until } from "./harness.ts";

const CANARY = "canary-4be1";
const OWNER = "owner";

const confider = agent({
  name: "confider",
  async run(ctx, input) {
    await ctx.step(`step ${CANARY}`, () => ({ secret: CANARY }));
    await ctx.state.set({ secret: CANARY });
    ctx.emit("said", CANARY);
    return { input, large: CANARY.repeat(10_000) };
  },
});
const failing = agent({
  name: "failing",
  async run(ctx) {
    await ctx.step("s", { retry: false }, () => {
      throw new Error(CANARY);
    });
  },
});
const asking = agent({ name: "asking", run: (ctx, input) => ctx.approval(CANARY, input) });
const hearing = agent({ name: "hearing", run: (ctx) => ctx.signal(`news ${CANARY}`) });
const parent = agent({ name: "parent", run: async (ctx) => (await ctx.spawn(hearing, CANARY)).result() });
/** What the other tenant runs itself. */
const echo = agent({ name: "echo", run: (_ctx, input) => ({ echo: input }) });

/** Everything of the owner that has an id, under the name that it has in paths. */
interface Ids {
  readonly threadId: string;
  readonly runId: string;
  readonly approvalId: string;
  readonly keyId: string;
  readonly assistantId: string;
  readonly idempotencyKey: string;
  readonly tenant: string;
  readonly plan: string;
  readonly budgetId: string;
  readonly model: string;
}

let database: FreshDatabase;
let longhaul: LonghaulProcess;
let server: RunningServer;
const logged: string[] = [];
const owned: Ids[] = [];
let before: unknown;

beforeAll(async () => {
  database = await freshDatabase();
  longhaul = await connect({ url: database.url, agents: [confider, failing, asking, hearing, parent, echo] });
  const note = (fields: object, message: string): void => void logged.push(JSON.stringify({ message, ...fields }));
  server = await serve({ longhaul, port: 0, auth: "keys", log: { error: note, warn: note } });
  for (const [name, status] of LIVES) owned.push(await live(name, status));
  // The child of the parent has its own pace: what it does by itself is not what others have changed.
  for (const status of ["queued", "running"] as const)
    await until(async () => (await longhaul.tenant(OWNER).list({ status })).length === 0);
  before = await ownersThings();
}, 60_000);
afterAll(async () => {
  await server.close();
  await longhaul.close();
  await database.drop();
});

const LIVES = [
  ["confider", "succeeded"],
  ["failing", "failed"],
  ["asking", "waiting"],
  ["hearing", "waiting"],
  ["parent", "waiting"],
] as const;

/** A run of the owner on a thread of its own, full of what nobody else may see. */
async function live(name: string, status: string): Promise<Ids> {
  const owner = longhaul.tenant(OWNER);
  const { threadId } = await owner.createThread({ metadata: { secret: CANARY } });
  const idempotencyKey = `${CANARY} ${name}`;
  const { runId } = await owner.submit(
    name,
    { secret: CANARY },
    { threadId, idempotencyKey, metadata: { secret: CANARY } },
  );
  await until(async () => (await owner.get(runId))?.status === status);
  if (status === "waiting") await owner.signal(runId, "unheard", { secret: CANARY });
  const [asked] = await owner.approvals({ runId });
  const key = await longhaul.keys.create({ tenant: OWNER, name: CANARY, by: CANARY });
  const { budgetId } = await owner.openBudget({ usd: 7 });
  return {
    threadId,
    runId,
    approvalId: asked?.approvalId ?? randomUUID(),
    keyId: key.keyId,
    assistantId: "echo",
    idempotencyKey,
    tenant: OWNER,
    plan: "default",
    budgetId,
    // Models are nobody's own.
    model: "gpt-5",
  };
}

/** Ids of the same kinds that nobody has. */
function nobodys(): Ids {
  return {
    threadId: randomUUID(),
    runId: randomUUID(),
    approvalId: randomUUID(),
    keyId: "Q7v0bC2xYz1",
    assistantId: "echo",
    idempotencyKey: randomUUID(),
    tenant: randomUUID(),
    plan: randomUUID(),
    budgetId: randomUUID(),
    model: randomUUID(),
  };
}

interface Request {
  readonly query?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

const start = { assistant_id: "echo", input: "mine" };
const starts = (ids: Ids): Request[] => [
  { body: start },
  { body: { ...start, if_not_exists: "create" } },
  { body: { ...start, if_not_exists: "create", multitask_strategy: "reject" } },
  { body: { ...start, if_not_exists: "create", multitask_strategy: "interrupt" } },
  { body: { ...start, command: { resume: true } } },
  { body: { ...start, assistant_id: "asking", command: { resume: { [ids.approvalId]: true } } } },
  { body: { ...start, if_not_exists: "create" }, headers: { "idempotency-key": ids.idempotencyKey } },
];
const cursors: Request[] = [
  {},
  { headers: { "last-event-id": "1" } },
  { query: "?stream_mode=debug&cancel_on_disconnect=1" },
];

/** What is sent to a route beside the ids in its path. Every route that takes a body is here, and whatever takes ids elsewhere. */
const REQUESTS: Readonly<Record<string, (ids: Ids) => Request[]>> = {
  "GET /runs": ({ threadId, runId }) => [{}, { query: `?thread_id=${threadId}` }, { query: `?before=${runId}` }],
  "GET /runs/:runId/stream": () => cursors,
  "GET /runs/:runId/join": () => cursors,
  "GET /runs/:runId/events": () => [...cursors, { query: "?after=1" }],
  "GET /threads/:threadId/runs/:runId/stream": () => cursors,
  "GET /threads/:threadId/runs/:runId/join": () => cursors,
  "GET /admin/runs": ({ threadId, runId }) => [
    {},
    { query: `?threadId=${threadId}` },
    { query: `?parentId=${runId}` },
    { query: `?before=${runId}` },
  ],
  "GET /admin/approvals": ({ runId }) => [
    {},
    { query: `?runId=${runId}` },
    { query: `?runId=${runId}&status=pending` },
  ],
  "POST /assistants/search": () => [{ body: {} }],
  "POST /threads": ({ threadId }) => [
    { body: { thread_id: threadId } },
    { body: { thread_id: threadId, if_exists: "do_nothing" } },
  ],
  "POST /threads/:threadId/history": () => [{ body: {} }, { body: { limit: 1 } }],
  "POST /threads/:threadId/runs": starts,
  "POST /threads/:threadId/runs/stream": starts,
  "POST /threads/:threadId/runs/wait": starts,
  "POST /threads/:threadId/runs/:runId/cancel": () => [{ body: {} }, { body: {}, query: "?wait=1" }],
  "POST /runs": ({ idempotencyKey }) => [
    { body: start },
    { body: start, headers: { "idempotency-key": idempotencyKey } },
  ],
  "POST /runs/stream": ({ idempotencyKey }) => [{ body: start, headers: { "idempotency-key": idempotencyKey } }],
  "POST /runs/wait": ({ idempotencyKey }) => [{ body: start, headers: { "idempotency-key": idempotencyKey } }],
  "POST /runs/batch": ({ idempotencyKey, approvalId }) => [
    { body: [start, start] },
    { body: [start], headers: { "idempotency-key": idempotencyKey } },
    { body: [{ ...start, command: { resume: { [approvalId]: true } } }] },
  ],
  "POST /runs/:runId/cancel": () => [{ body: {} }, { body: {}, query: "?wait=1" }],
  "POST /admin/runs/:runId/cancel": () => [{ body: { reason: "mine" } }],
  "POST /admin/runs/:runId/retry": () => [{ body: {} }],
  "POST /admin/runs/:runId/fork": () => [
    { body: {} },
    { body: { beforeStep: `step ${CANARY}` } },
    { body: { input: 1 } },
  ],
  "POST /admin/runs/:runId/signal": () => [{ body: { name: "news", payload: 1 } }, { body: { name: "unheard" } }],
  "POST /admin/approvals/:approvalId/approve": () => [{ body: {} }, { body: { args: 1, comment: "mine" } }],
  "POST /admin/approvals/:approvalId/deny": () => [{ body: {} }],
  "POST /admin/approvals/:approvalId/resume": () => [{ body: { value: 1 } }],
  "GET /admin/dead": ({ runId }) => [{}, { query: `?before=${runId}` }, { query: "?agent=failing" }],
  "POST /admin/dead/retry": () => [{ body: {} }, { body: { agent: "failing" } }],
  "POST /admin/dead/discard": () => [{ body: {} }, { body: { agent: "failing" } }],
  "POST /admin/dead/:runId/retry": () => [{ body: {} }],
  "POST /admin/dead/:runId/edit": () => [{ body: { input: 1 } }],
  "POST /admin/dead/:runId/discard": () => [{ body: {} }],
  // A call that is answered has an id of its own each time; see models-books.test.ts for what two tenants ask alike.
  "POST /v1/chat/completions": (ids) =>
    drawing(ids, { model: "openai/x", messages: [{ role: "user", content: "hi" }] }),
  "POST /v1/responses": (ids) => drawing(ids, { model: "openai/x", input: "hi", stream: true }),
  "POST /v1/embeddings": (ids) => drawing(ids, { model: "openai/x", input: "hi" }),
  "POST /v1/budgets": ({ idempotencyKey }) => [
    { body: { usd: 1 } },
    { body: { usd: 1 }, headers: { "idempotency-key": idempotencyKey } },
  ],
  "POST /v1/budgets/:budgetId/raise": () => [{ body: { usd: 1 } }],
  "GET /admin/costs": () => [{}, { query: "?by=feature" }, { query: "?by=run" }, { query: "?report=concentration" }],
  "GET /admin/charges": ({ runId }) => [{}, { query: `?after=${runId}` }],
  "POST /admin/charges/ack": ({ runId }) => [{ body: { runIds: [runId] } }],
  "PUT /admin/plans/:plan": () => [{ body: { concurrency: 1 } }],
  "PUT /admin/tenants/:tenant": () => [{ body: { paused: true } }],
  "POST /admin/keys": ({ tenant }) => [{ body: { tenant } }],
  "POST /admin/keys/:keyId/rotate": () => [{ body: {} }],
};

/** On a budget that is the caller's neither way. */
function drawing({ budgetId, runId }: Ids, body: unknown): Request[] {
  return [{ body, headers: { "x-longhaul-budget": budgetId, "x-longhaul-run": runId, "x-longhaul-cache": "1h" } }];
}

function requestsTo(route: string, ids: Ids): Request[] {
  const own = REQUESTS[route]?.(ids) ?? [{}];
  if (route.startsWith("POST") && REQUESTS[route] === undefined) throw new Error(`say what to send to ${route}`);
  if (!route.includes(" /admin/")) return own;
  const elsewhere = own.map(({ query, ...rest }) => ({
    ...rest,
    query: `${query ?? ""}${query === undefined ? "?" : "&"}tenant=${ids.tenant}`,
  }));
  return [...own, ...elsewhere];
}

function pathOf(route: string, ids: Ids): string {
  return (route.split(" ")[1] ?? "").replace(/:(\w+)/g, (_, name: string) => {
    if (!Object.hasOwn(ids, name)) throw new Error(`say what :${name} of ${route} is`);
    return encodeURIComponent(ids[name as keyof Ids]);
  });
}

interface Seen {
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

async function send(token: string, route: string, ids: Ids, request: Request): Promise<Seen> {
  const response = await fetch(server.url + pathOf(route, ids) + (request.query ?? ""), {
    method: route.split(" ")[0] ?? "",
    headers: { "x-api-key": token, ...request.headers },
    ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
  });
  const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  return { status: response.status, headers, body: await response.text() };
}

/** The same but for what differs between any two requests: ids, times, and how far a run of one's own has come meanwhile. */
function comparable({ status, headers, body }: Seen, ids: Ids): Seen {
  const same = (text: string): string =>
    Object.entries(ids)
      .filter(([, id]) => id !== "echo")
      .reduce((changed, [name, id]) => changed.replaceAll(id, name), text)
      .replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "(id)")
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "(time)")
      .replace(/\b(runId|threadId|approvalId)\b/g, "(id)")
      .replace(/: heartbeat\n|^\n+/g, "");
  const ownRun = same(body).replace(/"status":"(?:pending|running|success|idle|busy)"/g, '"status":"(own)"');
  return {
    status,
    headers: same(headers)
      .replace(/^date: .*$/m, "date")
      .replace(/^content-length: .*$/m, "length"),
    body: ownRun,
  };
}

let tenants = 0;

/** Somebody new, so that nothing of an earlier request makes a difference. */
async function stranger(): Promise<string> {
  tenants += 1;
  return (await longhaul.keys.create({ tenant: `stranger-${tenants}` })).token;
}

/** All that the owner has, as the owner sees it. */
async function ownersThings(): Promise<unknown> {
  const owner = longhaul.tenant(OWNER);
  const runs = await owner.list({ limit: 200 });
  return {
    runs,
    approvals: await owner.approvals({ limit: 200 }),
    threads: await Promise.all(owned.map(({ threadId }) => owner.thread(threadId))),
    inbox: await database.db.query("select run_id, key from longhaul.inbox order by 1, 2"),
    keys: (await longhaul.keys.list({ tenant: OWNER })).map(({ keyId, state }) => ({ keyId, state })),
  };
}

const served = [
  ...new Set(
    createServer({ longhaul: {} as LonghaulProcess })
      .routes.filter(({ method }) => method !== "ALL")
      .map(({ method, path }) => `${method} ${path}`),
  ),
];
const routes = served.filter((route) => ACCESS[route] !== "open");

describe("another tenant", () => {
  test.each(routes)(
    "learns nothing from %s",
    async (route) => {
      for (const ids of owned) {
        const none = nobodys();
        for (const [place, request] of requestsTo(route, ids).entries()) {
          const token = await stranger();
          const foreign = await send(token, route, ids, request);
          const unknown = await send(token, route, none, requestsTo(route, none)[place] ?? {});
          expect(comparable(foreign, ids)).toEqual(comparable(unknown, none));
          expect(foreign.status).toBeLessThan(500);
          // A step that is named in the request is named in the answer: nobody learns by that.
          const own =
            JSON.stringify(request.body ?? "").includes(CANARY) || request.headers?.["idempotency-key"] !== undefined;
          if (!own) expect(`${foreign.headers}\n${foreign.body}`).not.toContain(CANARY);
        }
      }
    },
    120_000,
  );

  test("on a thread of the owner's does not find its own run there, nor the owner's on its own", async () => {
    const [mine] = owned;
    const token = await stranger();
    const { tenant } = await longhaul.keys.holder(token);
    const own = await longhaul.tenant(tenant).createThread();
    const { runId } = await longhaul.tenant(tenant).submit("echo", 1, { threadId: own.threadId });
    for (const route of routes.filter((path) => path.includes("/threads/:threadId/runs/:runId"))) {
      for (const [threadId, run] of [
        [mine?.threadId ?? "", runId],
        [own.threadId, mine?.runId ?? ""],
      ] as const) {
        const seen = await send(token, route, { ...nobodys(), threadId, runId: run }, { body: undefined });
        expect([route, seen.status]).toEqual([route, 404]);
      }
    }
  });

  test("has idempotency keys and threads of its own under the same names", async () => {
    const [{ idempotencyKey, threadId, runId } = nobodys()] = owned;
    const token = await stranger();
    const body = { assistant_id: "echo", input: "mine", if_not_exists: "create" };
    const again = async (): Promise<string> => {
      const request = { body, headers: { "idempotency-key": idempotencyKey } };
      const seen = await send(token, "POST /threads/:threadId/runs", { ...nobodys(), threadId }, request);
      expect(seen.status).toBe(200);
      return (JSON.parse(seen.body) as { run_id: string }).run_id;
    };
    const first = await again();
    expect(first).not.toBe(runId);
    expect(await again()).toBe(first);
  });
});

test("the owner sees it all: what is looked for is there to be found", async () => {
  const { token } = await longhaul.keys.create({ tenant: OWNER });
  const readable = [
    "GET /threads/:threadId",
    "GET /threads/:threadId/state",
    "GET /threads/:threadId/runs",
    "GET /runs/:runId",
    "GET /runs/:runId/events",
    "GET /runs/:runId/join",
    "GET /admin/runs/:runId",
    "GET /admin/runs",
  ];
  const [ids = nobodys()] = owned;
  for (const route of readable)
    expect([route, (await send(token, route, ids, {})).body]).toEqual([route, expect.stringContaining(CANARY)]);
  expect((await send(token, "GET /admin/approvals", ids, {})).body).toContain(CANARY);
});

test("nothing of the owner's was changed by it", async () => {
  const after = (await ownersThings()) as { keys: { keyId: string }[] };
  const known = new Set(owned.map(({ keyId }) => keyId));
  const strip = (things: unknown) => {
    const { keys, ...rest } = things as { keys: { keyId: string }[] };
    return { ...rest, keys: keys.filter(({ keyId }) => known.has(keyId)) };
  };
  expect(strip(after)).toEqual(strip(before));
});

test("no row has two tenants", async () => {
  const mixed = await database.db.query(`
    select 'outcome' as what, r.run_id from longhaul.runs r join longhaul.outcomes o using (run_id) where o.tenant_id <> r.tenant_id
    union all select 'approval', r.run_id from longhaul.runs r join longhaul.approvals a using (run_id) where a.tenant_id <> r.tenant_id
    union all select 'child', r.run_id from longhaul.runs r join longhaul.runs p on p.run_id = r.parent_id where p.tenant_id <> r.tenant_id
    union all select 'fork', r.run_id from longhaul.runs r join longhaul.runs s on s.run_id = r.forked_from where s.tenant_id <> r.tenant_id
    union all select 'thread', r.run_id from longhaul.runs r join longhaul.live l using (run_id) join longhaul.threads t using (thread_no)
     where t.tenant_id <> r.tenant_id or t.thread_id <> r.thread_id`);
  expect(mixed).toEqual([]);
});

test("the server's log has no word of it", () => {
  expect(logged.filter((line) => line.includes(CANARY))).toEqual([]);
  expect(logged.filter((line) => line.includes("unforeseen"))).toEqual([]);
});
