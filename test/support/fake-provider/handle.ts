// What a test holds of the fake provider that runs in its own process.
import type { Behaviour } from "./behaviour.ts";
import type { Script } from "./brain.ts";
import { nowMs } from "./model-call.ts";
import { type ModelLimits, Referee, type Violation, type WindowReport } from "./referee.ts";
import type { Reply } from "./reply.ts";
import type { Site } from "./serve.ts";
import { FAKE_KEY } from "./settings.ts";
import type { Counts, WitnessedCall } from "./witness.ts";

export interface FakeProviderUrls {
  /** Base URLs as the official clients want them. */
  readonly openai: string;
  readonly anthropic: string;
  readonly google: string;
  /** OpenAI's protocol, for what is compatible with it. */
  readonly compatible: string;
}

export interface FakeProvider {
  readonly port: number;
  readonly origin: string;
  readonly urls: FakeProviderUrls;
  readonly key: string;
  /** Everything received, in order of arrival: the external witness. */
  readonly calls: readonly WitnessedCall[];
  readonly violations: readonly Violation[];
  /** Asked first for every request, also for one that a limit then refuses. */
  script: Script | null;
  behave(behaviour: Behaviour): void;
  /** Each for one request, before anything else. */
  next(...replies: Reply[]): void;
  limit(limits: Readonly<Record<string, ModelLimits>>): void;
  /** Somebody else with the same key uses up a limit. */
  use(model: string, tokens: { readonly inputTokens?: number; readonly outputTokens?: number }, key?: string): void;
  counts(): Counts;
  /** How full the sliding windows are, and were at most. */
  windows(): WindowReport[];
  /** Resolves when so many were received, or when what was received meets a condition. */
  received(wanted: number | ((calls: readonly WitnessedCall[]) => boolean)): Promise<void>;
  clear(): void;
  close(): Promise<void>;
}

export function handleOf({ settings, world, witness }: Site, port: number, close: () => Promise<void>): FakeProvider {
  const origin = `http://${settings.host ?? "127.0.0.1"}:${port}`;
  const [key = FAKE_KEY] = settings.keys ?? [];
  return {
    port,
    origin,
    key,
    close,
    urls: {
      openai: `${origin}/openai/v1`,
      anthropic: `${origin}/anthropic/v1`,
      google: `${origin}/google/v1beta`,
      compatible: `${origin}/compatible/v1`,
    },
    get calls() {
      return witness.calls;
    },
    get violations() {
      return world.referee.violations;
    },
    get script() {
      return world.brain.script;
    },
    set script(script) {
      world.brain.script = script;
    },
    behave: (behaviour) => world.brain.behave(behaviour),
    next: (...replies) => void world.brain.queue.push(...replies),
    limit: (limits) => {
      world.referee = new Referee(limits);
    },
    use: (model, { inputTokens = 0, outputTokens = 0 }, ofKey = key) => {
      world.referee.use(ofKey, model, { inputTokens, outputTokens, maxOutputTokens: null }, nowMs());
    },
    counts: () => witness.counts(world.referee.violations.length),
    windows: () => world.referee.report(nowMs()),
    received: (wanted) => witness.until(typeof wanted === "number" ? () => witness.received >= wanted : wanted),
    clear: () => {
      witness.clear();
      world.brain.queue.length = 0;
      world.referee.violations.length = 0;
    },
  };
}
