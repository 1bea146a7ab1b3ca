// What the quickstart says, done: its config, its commands, and LangGraph's own client against `longhaul start`; then the examples.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { Client } from "@langchain/langgraph-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cli, RunningCli } from "../support/cli.ts";
import { type FreshDatabase, freshDatabase } from "../support/postgres.ts";
import { type TestProject, testProject } from "../support/project.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const PAGE = readFileSync(join(ROOT, "docs", "quickstart.md"), "utf8");

/** The first code of the page that begins like this. */
function codeOf(fence: string, start: string): string {
  const blocks = [...PAGE.matchAll(new RegExp(`^\`\`\`${fence}\\n(.*?)^\`\`\``, "gms"))].map(
    (match) => match[1] as string,
  );
  const found = blocks.find((block) => block.startsWith(start));
  if (found === undefined) throw new Error(`docs/quickstart.md has no code that begins with ${start}`);
  return found;
}

interface Question {
  readonly approvalId: string;
  readonly runId: string;
  readonly name: string;
}

interface Part {
  readonly event: string;
  readonly data: unknown;
}

async function collect(stream: AsyncIterable<unknown>): Promise<Part[]> {
  const parts: Part[] = [];
  for await (const part of stream) parts.push(part as Part);
  return parts;
}

describe("the quickstart", () => {
  let project: TestProject;
  let installation: RunningCli;
  let url: string;
  let client: Client;

  beforeAll(async () => {
    // As on the page; only the port is another, since 2024 may be taken on the machine that tests.
    project = testProject({ "longhaul.config.ts": codeOf("ts config", "import { agent, defineConfig }") });
    installation = new RunningCli(["start", "--port", "0"], { cwd: project.root });
    url = String((await installation.event("ready")).url);
    client = new Client({ apiUrl: url, apiKey: null });
  });
  afterAll(async () => {
    await installation.end();
    project.remove();
  });

  async function command<T>(...args: string[]): Promise<T> {
    const result = await cli(args, { cwd: project.root });
    expect([result.code, result.stderr]).toEqual([0, ""]);
    return result.json<T>();
  }

  test("from the command line: submit, list, why, approve, show", async () => {
    const { runId } = await command<{ runId: string }>("runs", "submit", "greeter", "--input", '{"name":"Ann"}');
    const waiting = await sentenceOf(runId);
    expect(waiting).toContain('It waits for a person to answer the approval "send"');
    expect(await command("runs", "list")).toMatchObject([{ runId, status: "waiting" }]);
    const [question] = await command<Question[]>("approvals", "list");
    expect(question).toMatchObject({ runId, name: "send" });
    await command("approvals", "approve", question?.approvalId ?? "", "--by", "ann");
    expect(await client.runs.join(runId, runId)).toBe("Hello, Ann!");
    expect(await command("runs", "show", runId)).toMatchObject({
      status: "succeeded",
      result: { status: "succeeded", output: "Hello, Ann!" },
      steps: [{ key: "compose#1" }, { key: "approval send#1" }],
    });
  });

  /** The sentence of `runs why` once the run waits. */
  async function sentenceOf(runId: string): Promise<string> {
    await client.runs.join(runId, runId);
    return (await command<{ sentence: string }>("runs", "why", runId)).sentence;
  }

  test("from LangGraph's client: stream to the question, approve on the command line, stream to the end", async () => {
    const thread = await client.threads.create();
    const streamMode: ("updates" | "values")[] = ["updates", "values"];
    const asked = await collect(
      client.runs.stream(thread.thread_id, "greeter", { input: { name: "Bob" }, streamMode }),
    );
    expect(asked.map(({ event }) => event)).toEqual(["metadata", "updates", "updates", "values"]);
    expect(asked[1]?.data).toEqual({ compose: "Hello, Bob!" });
    expect(asked[3]?.data).toMatchObject({ __interrupt__: [{ value: expect.anything() }] });
    const [run] = await client.runs.list(thread.thread_id);
    const runId = run?.run_id ?? "";
    expect(asked[0]?.data).toMatchObject({ run_id: runId });
    expect(await client.threads.get(thread.thread_id)).toMatchObject({ status: "interrupted" });

    const questions = await command<Question[]>("approvals", "list");
    const question = questions.find((one) => one.runId === runId);
    await command("approvals", "approve", question?.approvalId ?? "", "--args", '{"greeting":"Hi, Bob!"}');
    expect(await client.runs.join(thread.thread_id, runId)).toBe("Hi, Bob!");
    const all = await collect(client.runs.joinStream(thread.thread_id, runId, { lastEventId: "-1", streamMode }));
    expect(all.slice(0, 4)).toEqual(asked);
    expect(all.at(-1)).toMatchObject({ event: "values", data: "Hi, Bob!" });
    expect(await client.runs.get(thread.thread_id, runId)).toMatchObject({ status: "success" });
  });

  test("the program of the page runs as it stands", async () => {
    const program = codeOf("ts", "import { Client }").replace("http://127.0.0.1:2024", url);
    const file = project.write("client.ts", program);
    const { stdout } = await promisify(execFile)(process.execPath, ["--import", import.meta.resolve("tsx"), file]);
    for (const said of ["metadata", "updates", "Hello, Ann!", "__interrupt__"]) expect(stdout).toContain(said);
  });

  test("an input that does not fit is refused with its path, and an agent that is not there with the one that is meant", async () => {
    const { thread_id: threadId } = await client.threads.create();
    await expect(client.runs.create(threadId, "greeter", { input: { nobody: 1 } })).rejects.toThrow(/422.*name/s);
    await expect(client.runs.create(threadId, "greter", { input: {} })).rejects.toThrow(/404.*greeter/s);
  });
});

describe("the examples", () => {
  let database: FreshDatabase;
  let installation: RunningCli;
  let client: Client;
  const options = () => ({ cwd: ROOT, env: { DATABASE_URL: database.url } });

  beforeAll(async () => {
    database = await freshDatabase();
    // The config of this repository, which `npm start` serves.
    installation = new RunningCli(["start", "--port", "0"], options());
    client = new Client({ apiUrl: String((await installation.event("ready")).url), apiKey: null });
  });
  afterAll(async () => {
    await installation.end();
    await database.drop();
  });

  test("are the assistants", async () => {
    const found = await client.assistants.search({ limit: 100 });
    const names = found.map((assistant) => assistant.graph_id);
    for (const name of ["refund", "read-book", "read-page", "chat"]) expect(names).toContain(name);
  });

  test("a refund waits for a person, who says no on the command line", async () => {
    const { thread_id: threadId } = await client.threads.create();
    const small = await client.runs.wait(threadId, "refund", { input: { order: "o-1", amountUsd: 5 } });
    expect(small).toMatchObject({ paidUsd: 5, decidedBy: null });
    const large = await client.runs.wait(threadId, "refund", { input: { order: "o-2", amountUsd: 500 } });
    expect(large).toMatchObject({ __interrupt__: [expect.anything()] });
    const [question] = (await cli(["approvals", "list"], options())).json<Question[]>();
    const denied = await cli(["approvals", "deny", question?.approvalId ?? "", "--by", "ann"], options());
    expect(denied.code).toBe(0);
    const ended = await client.runs.join(threadId, question?.runId ?? "");
    expect(ended).toEqual({ paidUsd: 0, decidedBy: "ann", status: "denied" });
  });

  test("a chat remembers, and a book is read by children", async () => {
    const { thread_id: threadId } = await client.threads.create();
    const say = (text: string) => client.runs.wait(threadId, "chat", { input: { text } });
    await say("Hello, my name is Ada.");
    expect(await say("What is my name?")).toEqual({ reply: "Your name is Ada." });
    expect((await client.threads.getState(threadId)).values).toMatchObject({ name: "Ada" });
    const pages = [1, 2, 3].map((n) => ({ title: `page ${n}`, text: "one two three" }));
    expect(await client.runs.wait(null, "read-book", { input: { pages } })).toMatchObject({ pages: 3, words: 9 });
  });
});
