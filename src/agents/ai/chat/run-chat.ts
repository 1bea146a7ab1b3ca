// The loop of a chat agent: ask the model, make the calls it wants, ask again; one step per turn, and a checkpoint now and then.
import { fail } from "../../../domain/errors.ts";
import { CHAT_CHECKPOINT_ENTRIES_MAX, CHAT_CHECKPOINT_ENTRIES_MIN } from "../../../domain/limits.ts";
import { messageIdOf } from "../../../domain/tokens.ts";
import type { Ctx } from "../../ctx.ts";
import { askModel } from "../ask-model.ts";
import { type AiHost, hostOf } from "../host.ts";
import type { ModelRecord } from "../model-record.ts";
import { loopError } from "../tool-loop.ts";
import { watchOf } from "../tools.ts";
import type { ChatAgentDefinition } from "./definition.ts";
import { type ChatMessage, type ChatState, type ReadInput, withInput } from "./messages.ts";
import { promptOf } from "./prompt.ts";
import { argsOf, messageOfReply } from "./reply-message.ts";
import type { ToolSet } from "./tool-set.ts";

/** What a checkpoint keeps of the loop. */
interface Progress {
  readonly messages: readonly ChatMessage[];
  readonly turns: number;
  readonly instructions: string | null;
  /** Entries that the next checkpoint waits for. */
  readonly patience: number;
}

/** How a declaration gives the tools of a run. */
export type ToolsOf = (ctx: Ctx) => Promise<ToolSet>;

export async function runChat(
  ctx: Ctx,
  input: ReadInput,
  definition: ChatAgentDefinition,
  turnsMax: number,
  toolsOf: ToolsOf,
): Promise<ChatState> {
  const restored = ctx.restored<Progress>();
  const chat = new Chat(ctx, definition, await toolsOf(ctx), restored ?? (await begin(ctx, input, definition)));
  if (restored === undefined) await chat.keep();
  try {
    while (await chat.turn(turnsMax)) await chat.maybeCheckpoint();
  } catch (error) {
    // What was said stays said, whatever ends the run.
    await chat.keep();
    throw error;
  }
  return chat.keep();
}

async function begin(ctx: Ctx, input: ReadInput, { instructions }: ChatAgentDefinition): Promise<Progress> {
  const before = ctx.threadId === null ? undefined : ctx.state.get<ChatState>();
  const told =
    typeof instructions === "function" ? await ctx.step("instructions", () => instructions(ctx)) : instructions;
  return {
    messages: withInput(before?.messages ?? [], input.messages, () => ctx.uuid()),
    turns: 0,
    instructions: told ?? null,
    patience: CHAT_CHECKPOINT_ENTRIES_MIN,
  };
}

class Chat {
  readonly #ctx: Ctx;
  readonly #host: AiHost;
  readonly #definition: ChatAgentDefinition;
  readonly #tools: ToolSet;
  readonly #watch: ReturnType<typeof watchOf>;
  #messages: ChatMessage[];
  #turns: number;
  readonly #instructions: string | null;
  #patience: number;
  #entries = 0;
  /** The turn after which the thread is written down next: in every run soon at first, and then ever more seldom. */
  #keepAt = 1;

  constructor(ctx: Ctx, definition: ChatAgentDefinition, tools: ToolSet, progress: Progress) {
    this.#ctx = ctx;
    this.#host = hostOf(ctx);
    this.#definition = definition;
    this.#tools = tools;
    this.#watch = watchOf(definition);
    this.#messages = [...progress.messages];
    this.#turns = progress.turns;
    this.#instructions = progress.instructions;
    this.#patience = progress.patience;
    while (this.#keepAt <= this.#turns) this.#keepAt *= 2;
    this.#watchAgain();
  }

  /** True when the model is to be asked again. */
  async turn(turnsMax: number): Promise<boolean> {
    const { name } = this.#definition;
    if (this.#turns >= turnsMax) throw fail("CHAT_TURNS_EXCEEDED", { agent: name, turns: this.#turns });
    const asked = this.#messages;
    const prompt = once(() => promptOf(this.#instructions, asked));
    const { reply, key } = await this.#ask(prompt);
    this.#turns += 1;
    this.#messages = [...asked, messageOfReply(reply, messageIdOf(this.#ctx.runId, key))];
    const calls = reply.content
      .filter((part) => part.type === "tool-call")
      .filter(({ providerExecuted }) => providerExecuted !== true);
    const ours = calls.filter(({ toolName }) => !this.#tools.runsElsewhere(toolName));
    for (const call of ours) this.#note(call.toolName, argsOf(call) ?? call.input);
    const answers = await Promise.all(ours.map((call) => this.#tools.answer(this.#host, call, prompt)));
    this.#messages = [...this.#messages, ...answers];
    this.#entries += 1 + answers.length;
    // Where somebody else has to answer a call, that is a run of its own.
    const goesOn = calls.length > 0 && ours.length === calls.length;
    if (goesOn && this.#turns >= this.#keepAt) {
      this.#keepAt *= 2;
      await this.keep();
    }
    return goesOn;
  }

  /** Its cost is the whole conversation, so that it becomes rarer as that grows; a replay is short all the same. */
  async maybeCheckpoint(): Promise<void> {
    if (this.#entries < this.#patience) return;
    this.#patience = Math.min(this.#patience * 2, CHAT_CHECKPOINT_ENTRIES_MAX);
    this.#entries = 0;
    await this.#ctx.checkpoint({
      messages: this.#messages,
      turns: this.#turns,
      instructions: this.#instructions,
      patience: this.#patience,
    } satisfies Progress);
  }

  /** Writes the thread down. */
  async keep(): Promise<ChatState> {
    const said = this.#messages.findLast(({ type }) => type === "ai");
    const state = { messages: this.#messages, text: said?.type === "ai" ? said.content : "" };
    if (this.#ctx.threadId !== null) await this.#ctx.state.set(state);
    return state;
  }

  async #ask(prompt: () => ReturnType<typeof promptOf>): Promise<{ reply: ModelRecord; key: string }> {
    const { model, settings, feature } = this.#definition;
    const tools = await this.#tools.declarations();
    let key = "";
    const reply = await askModel(this.#host, {
      model,
      // One turn follows another: their order tells them apart, and a replay need not look at what was asked.
      mark: null,
      request: () => ({ ...settings, prompt: prompt(), ...(tools.length === 0 ? {} : { tools }) }),
      stream: true,
      options: feature === undefined ? {} : { feature },
      onKey: (opened) => {
        key = opened;
      },
    });
    return { reply, key };
  }

  /** @throws TOOL_LOOP */
  #note(tool: string, args: unknown): void {
    const loop = this.#watch?.note(tool, args) ?? null;
    if (loop !== null) throw loopError(loop);
  }

  /** A loop that began before the checkpoint is still one. */
  #watchAgain(): void {
    if (this.#turns === 0) return;
    const lastHuman = this.#messages.findLastIndex(({ type }) => type === "human");
    for (const message of this.#messages.slice(lastHuman + 1))
      if (message.type === "ai") for (const { name, args } of message.tool_calls) this.#watch?.note(name, args);
  }
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
