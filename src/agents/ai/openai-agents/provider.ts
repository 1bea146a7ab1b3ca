// The OpenAI Agents SDK over a run: a model provider whose every call is a step, through the gateway, to whatever model it leads to.
import type { Model, ModelProvider, ModelRequest, ModelResponse, StreamEvent, Usage } from "@openai/agents";
import { fail } from "../../../domain/errors.ts";
import { Assembly } from "../../../gateway/assemble.ts";
import type { ChatReply } from "../../../gateway/reply.ts";
import type { Ctx } from "../../ctx.ts";
import { hostOf } from "../host.ts";
import { DurableModel } from "../model.ts";
import type { ModelOptions } from "../options.ts";
import { callOf } from "./items.ts";
import { outputOf, usageOf } from "./reply.ts";

export interface AgentsModelOptions extends ModelOptions {
  /** For agents that name no model. Default: they are refused. */
  readonly model?: string;
}

/**
 * `new Runner({ modelProvider: agentsModelProvider(ctx) })`: agents of `@openai/agents` name their models as `ctx.model` does.
 */
export function agentsModelProvider(ctx: Ctx, { model, ...options }: AgentsModelOptions = {}): ModelProvider {
  return {
    getModel: (name) => {
      // The SDK says the empty name for an agent without a model.
      const asked = name || model;
      if (!asked) throw fail("AGENTS_MODEL_MISSING");
      return new AgentsModel(new DurableModel(hostOf(ctx), asked, options));
    },
  };
}

class AgentsModel implements Model {
  readonly #model: DurableModel;

  constructor(model: DurableModel) {
    this.#model = model;
  }

  async getResponse(request: ModelRequest): Promise<ModelResponse> {
    const reply = (await this.#model.doGenerate(callOf(request))) as unknown as ChatReply;
    const { id } = reply.response;
    const usage = await usageObject(reply);
    return { usage, output: outputOf(reply), ...(id === undefined ? {} : { responseId: id }) };
  }

  async *getStreamedResponse(request: ModelRequest): AsyncGenerator<StreamEvent> {
    yield { type: "response_started" };
    const { stream } = await this.#model.doStream(callOf(request));
    const assembly = new Assembly();
    for await (const part of stream) {
      assembly.add(part);
      if (part.type === "text-delta") yield { type: "output_text_delta", delta: part.delta };
    }
    const reply = assembly.reply();
    yield {
      type: "response_done",
      response: { id: reply.response.id ?? "", usage: usageOf(reply), output: outputOf(reply) as never },
    };
  }
}

let usageClass: Promise<new (figures: object) => Usage> | undefined;

/** @throws PACKAGE_MISSING */
async function usageObject(reply: ChatReply): Promise<Usage> {
  // An optional peer: whoever calls this has it, under the name of the package.
  const name = "@openai/agents";
  usageClass ??= import(name).then(
    (module: { Usage: new (figures: object) => Usage }) => module.Usage,
    (cause: unknown) => {
      usageClass = undefined;
      throw fail("PACKAGE_MISSING", { what: "The OpenAI Agents SDK's provider", package: name }, { cause });
    },
  );
  return new (await usageClass)(usageOf(reply));
}
