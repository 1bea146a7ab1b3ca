// The chat example: runs of a thread take turns, and what was said outlives the process that heard it.
import { expect, test } from "vitest";
import { chat } from "../../examples/chat-thread/agent.ts";
import { useStage } from "../support/longhaul.ts";

const stage = useStage();

test("a conversation goes on in another process", async () => {
  const before = await stage.worker([chat]);
  const { threadId } = await before.createThread();
  await before.run(chat, { text: "Hello, my name is Ann." }, { threadId });
  await before.close();

  const after = await stage.worker([chat]);
  expect(await after.run(chat, { text: "What is my name?" }, { threadId })).toEqual({ reply: "Your name is Ann." });
  const thread = await after.thread(threadId);
  expect(thread?.state).toMatchObject({ name: "Ann", messages: { length: 4 } });
});

test("messages that are sent at once are answered one after the other, in order, and none is lost", async () => {
  const longhaul = await stage.worker([chat]);
  const { threadId } = await longhaul.createThread();
  const handles = [];
  for (const text of ["one", "two", "three", "four", "five"]) {
    handles.push(await longhaul.submit(chat, { text }, { threadId }));
  }
  const replies = await Promise.all(handles.map((handle) => handle.result()));
  expect(replies.map(({ reply }) => /message (\d)/.exec(reply)?.[1])).toEqual(["1", "2", "3", "4", "5"]);
  expect(await longhaul.run(chat, { text: "What did I say?" }, { threadId })).toEqual({
    reply: "“one”, “two”, “three”, “four”, “five”",
  });
});

test("another thread knows nothing of it", async () => {
  const longhaul = await stage.worker([chat]);
  const [one, other] = [await longhaul.createThread(), await longhaul.createThread()];
  await longhaul.run(chat, { text: "My name is Ben" }, { threadId: one.threadId });
  expect(await longhaul.run(chat, { text: "What is my name?" }, { threadId: other.threadId })).toEqual({
    reply: "You have not told me.",
  });
});
