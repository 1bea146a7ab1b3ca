// What the fake model says to a request, and with which fault. Who is asked, in this order: the queue of single replies, the script
// of this process, a directive in the user's own words, the rules, and at last the model itself, which has nothing to say.
import { type Behaviour, Rules, scheduledFault } from "./behaviour.ts";
import { type Fault, faultOf } from "./fault.ts";
import type { Reply, ToolCall, ToolLoop } from "./reply.ts";
import type { FakeRequest } from "./request.ts";
import { sample } from "./sample.ts";
import { fraction } from "./seeded.ts";

/** Null or undefined: no opinion, ask the next. */
export type Script = (request: FakeRequest) => Reply | null | undefined | Promise<Reply | null | undefined>;

export interface Decision {
  /** Without `turns`, `loop` and `fault`. */
  readonly reply: Reply;
  readonly fault: Fault | null;
  readonly latencyMs: number;
}

/** ```` ```fake: {"text": "…"} ``` ````: a reply in JSON between fences, in the text of a user who cannot reach the provider otherwise. */
const DIRECTIVE = /```fake:?\s*([\s\S]*?)```/;

export class Brain {
  readonly queue: Reply[] = [];
  script: Script | null = null;
  #behaviour: Behaviour = {};
  #rules = new Rules([]);

  get behaviour(): Behaviour {
    return this.#behaviour;
  }

  behave(behaviour: Behaviour): void {
    this.#behaviour = behaviour;
    this.#rules = new Rules(behaviour.rules ?? []);
  }

  decide(request: FakeRequest): Decision | Promise<Decision> {
    const queued = this.queue.shift();
    if (queued !== undefined) return this.#settle(request, queued);
    const scripted = this.script?.(request);
    if (scripted instanceof Promise)
      return scripted.then((reply) => this.#settle(request, reply ?? this.#ruled(request)));
    return this.#settle(request, scripted ?? this.#ruled(request));
  }

  #ruled(request: FakeRequest): Reply {
    if (request.operation !== "embeddings") {
      const directive = directiveOf(request.lastUserText);
      if (directive !== null) return directive;
    }
    return this.#rules.replyTo(request) ?? this.#behaviour.reply ?? {};
  }

  #settle(request: FakeRequest, said: Reply): Decision {
    const reply = spoken(turnOf(said, request), request);
    const own = reply.fault === undefined ? null : faultOf(reply.fault);
    const spared = own?.attempts !== undefined && request.arrival > own.attempts;
    const { schedule, latencyMs, chunkMs, chunkCharacters } = this.#behaviour;
    const fault = own !== null && !spared ? own : own === null && schedule ? scheduledFault(schedule, request) : null;
    return {
      reply: {
        ...(chunkMs === undefined ? {} : { chunkMs }),
        ...(chunkCharacters === undefined ? {} : { chunkCharacters }),
        ...reply,
      },
      fault,
      latencyMs: latencyOf(reply.latencyMs ?? latencyMs ?? 0, request),
    };
  }
}

export function directiveOf(text: string): Reply | null {
  if (!text.includes("```fake")) return null;
  const [, json] = DIRECTIVE.exec(text) ?? [];
  if (json === undefined) return null;
  try {
    return JSON.parse(json) as Reply;
  } catch {
    return { text: `This fake model cannot read its directive, which is not JSON: ${json}`, finish: "stop" };
  }
}

function latencyOf(latency: number | readonly [number, number], request: FakeRequest): number {
  if (typeof latency === "number") return latency;
  const [least, most] = latency;
  return least + (most - least) * fraction(`${request.fingerprint}/${request.arrival}/latency`);
}

/** The reply for this round of the conversation. */
function turnOf(said: Reply, request: FakeRequest): Reply {
  if (said.turns === undefined && said.loop === undefined) return said;
  const { turns, loop, ...base } = said;
  const round = request.round;
  if (turns !== undefined) return { ...base, ...turns[Math.min(round, turns.length - 1)] };
  if (loop === undefined || round >= loop.times) return base;
  // What it says at the end is not said on the way.
  const { text: _text, json: _json, finish: _finish, ...pace } = base;
  return { ...pace, toolCalls: loopCalls(loop, round) };
}

function loopCalls({ tool, parallel = 1, arguments: args }: ToolLoop, round: number): ToolCall[] {
  return Array.from({ length: parallel }, (_, at) => {
    const numbers = { round: round + 1, call: round * parallel + at + 1 };
    return args === undefined ? { name: tool } : { name: tool, arguments: filled(args, numbers) };
  });
}

/** `{round}` and `{call}` in all strings; a string that is nothing else becomes the number. */
function filled(value: unknown, numbers: { round: number; call: number }): unknown {
  if (typeof value === "string") {
    if (value === "{round}") return numbers.round;
    if (value === "{call}") return numbers.call;
    return value.replaceAll("{round}", String(numbers.round)).replaceAll("{call}", String(numbers.call));
  }
  if (Array.isArray(value)) return value.map((one) => filled(one, numbers));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, filled(one, numbers)]));
}

/** What the model says when nobody told it: what its answer has to be, or that it is a fake. */
function spoken(reply: Reply, request: FakeRequest): Reply {
  if (request.operation === "embeddings" || reply.text !== undefined || reply.toolCalls !== undefined) return reply;
  const { tools, toolChoice, schema } = request.prompt;
  const forced =
    typeof toolChoice === "object"
      ? toolChoice.name
      : toolChoice === "required"
        ? (tools.find((tool) => tool.name === "json") ?? tools[0])?.name
        : undefined;
  if (forced !== undefined) {
    return {
      ...reply,
      toolCalls: [reply.json === undefined ? { name: forced } : { name: forced, arguments: reply.json }],
    };
  }
  if (reply.json !== undefined) return { ...reply, text: JSON.stringify(reply.json) };
  if (schema !== null) return { ...reply, text: JSON.stringify(sample(schema, request.fingerprint)) };
  return { ...reply, text: ownWords(request) };
}

function ownWords(request: FakeRequest): string {
  const asked = request.lastUserText.replace(/\s+/g, " ").slice(0, 80);
  const results = request.messages.filter((one) => one.role === "tool").length;
  const after = results === 0 ? "" : ` after ${results} tool result${results === 1 ? "" : "s"}`;
  return `Fake answer${after} – no model was asked: “${asked}”`;
}
