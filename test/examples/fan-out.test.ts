// The fan-out example: a child run per page, and a parent that holds nothing while it waits for them.
import { expect, test } from "vitest";
import { readBook, readPage } from "../../examples/fan-out/agent.ts";
import { useStage } from "../support/longhaul.ts";

const stage = useStage();
const pages = Array.from({ length: 40 }, (_, number) => ({
  title: `page ${number + 1}`,
  text: number === 17 ? "an incomprehensibility lies here" : "four words are here",
}));

test("every page is read once, by a run of its own, and the parent adds them up", async () => {
  const longhaul = await stage.worker([readBook, readPage]);
  const handle = await longhaul.submit(readBook, { pages });
  expect(await handle.result()).toEqual({ pages: 40, words: 160, longest: "incomprehensibility" });
  const children = (await longhaul.inspect(handle.runId))?.children ?? [];
  expect(children).toHaveLength(40);
  expect(children.every(({ agent, status }) => agent === "read-page" && status === "succeeded")).toBe(true);
});

test("the parent waits for its children without a worker, and is woken once", async () => {
  // One slot: would the parent keep it, none of its forty children could run.
  const first = await stage.worker([readBook, readPage], { queues: ["default"], warmMs: 0, slots: 1 });
  const { runId } = await first.submit(readBook, { pages });
  await first.wait(runId);
  const events = [];
  for await (const event of first.stream(runId)) events.push(event.kind);
  expect(events.filter((kind) => kind === "claimed")).toHaveLength(2);
  expect(events.filter((kind) => kind === "released")).toHaveLength(1);
});
