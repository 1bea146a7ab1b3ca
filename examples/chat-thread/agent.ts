// A chat: each message is a run, the thread keeps the conversation, and its runs take turns. No LLM: the replies are rules.
import { z } from "zod";
import { agent } from "../../src/index.ts"; // in a project of your own: from "longhaul"

interface Message {
  readonly from: "user" | "agent";
  readonly text: string;
}

interface Conversation {
  readonly messages: readonly Message[];
  readonly name: string | null;
}

export const chat = agent({
  name: "chat",
  description: "Remembers who it talks to, and what was said (rules, no LLM)",
  input: z.object({ text: z.string().trim().min(1).max(2_000) }),
  async run(ctx, { text }) {
    const before = ctx.state.get<Conversation>() ?? { messages: [], name: null };
    const name = /\bmy name is (\p{L}+)/iu.exec(text)?.[1] ?? before.name;
    // Where a model would be called: a step, so that a message costs one call whatever happens to the worker.
    const reply = await ctx.step("reply", { input: text }, () => replyTo(text, name, before.messages));
    const said: Message[] = [
      { from: "user", text },
      { from: "agent", text: reply },
    ];
    await ctx.state.set({ messages: [...before.messages, ...said], name });
    return { reply };
  },
});

function replyTo(text: string, name: string | null, earlier: readonly Message[]): string {
  const asked = earlier.filter(({ from }) => from === "user");
  if (/what is my name/i.test(text)) return name === null ? "You have not told me." : `Your name is ${name}.`;
  if (/what did i say/i.test(text)) return asked.map((message) => `“${message.text}”`).join(", ") || "Nothing yet.";
  return `${name === null ? "Hello" : `Hello ${name}`}, this is message ${asked.length + 1} of our conversation.`;
}
