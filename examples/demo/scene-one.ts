// The first scene: one run, followed over HTTP; the worker that holds it is killed in the middle of a step, twice.
import { setTimeout as pause } from "node:timers/promises";
import type { RunEvent } from "../../src/index.ts";
import type { Kill } from "./crew.ts";
import { followRun, outputOf, submitRun } from "./http.ts";
import type { Answer } from "./model.ts";
import type { DemoOptions } from "./options.ts";
import { workerOf } from "./proof.ts";
import { type Stage, WORKERS } from "./stage.ts";
import { DemoError, type Tell, type Who } from "./tale.ts";
import { type WitnessLine, watchWitness } from "./witness.ts";

export interface SceneOne {
  readonly runId: string;
  /** What the stream said, in the order it said it. */
  readonly streamed: readonly RunEvent[];
}

/** In the middle of which step to kill: the first of these that begins, once each. */
const KILL_IN: readonly (readonly string[])[] = [["search#2", "read#1"], ["answer#1"]];
/** A worker that is to take over tells what it has read within this time. */
const REPLAY_TOLD_MS = 5_000;
const STRANGER: Who = { name: "?", pid: 0 };

export async function playSceneOne(
  stage: Stage,
  { question, pausesMs: [pauseMs] }: DemoOptions,
  tell: Tell,
  stop: AbortSignal,
): Promise<SceneOne> {
  const { server, witness } = stage;
  const runId = await submitRun(server.url, "research", { question }, { pauseMs });
  tell({ event: "submitted", runId, question, follow: `GET ${server.url}/runs/${runId}/events` });
  const killer = new Killer(stage, runId, pauseMs, tell);
  const watching = watchWitness(witness, (line) => killer.see(line));
  const streamed: RunEvent[] = [];
  try {
    const narrator = new Narrator(stage, killer, tell);
    for await (const event of followRun(server.url, runId, stop)) {
      streamed.push(event);
      await narrator.tell(event);
    }
  } finally {
    watching.stop();
    killer.disarm();
  }
  const result = await stage.longhaul.wait(runId, { abort: stop });
  if (result.status === "failed") throw failed(result.failure.message);
  const { answer, citations, model } = answerOf(await outputOf(server.url, runId, stop));
  tell({ event: "answer", text: answer, citations, model });
  await stage.crew.fill(WORKERS);
  return { runId, streamed };
}

/** Waits for a step to begin, and kills the worker half-way through it. */
class Killer {
  readonly kills: Kill[] = [];
  readonly #stage: Stage;
  readonly #runId: string;
  readonly #pauseMs: number;
  readonly #tell: Tell;
  readonly #left = KILL_IN.map((steps) => [...steps]);
  readonly #begun = new Map<string, number>();
  readonly #ended = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(stage: Stage, runId: string, pauseMs: number, tell: Tell) {
    this.#stage = stage;
    this.#runId = runId;
    this.#pauseMs = pauseMs;
    this.#tell = tell;
  }

  see({ what, runId, step, pid }: WitnessLine): void {
    if (runId !== this.#runId) return;
    if (what === "ended") {
      this.#ended.add(step);
      return;
    }
    this.#begun.set(step, this.bodiesOf(step) + 1);
    const again = this.bodiesOf(step) > 1;
    this.#tell({ event: "step_began", worker: this.#who(pid), step: shortKey(step), again });
    const [steps] = this.#left;
    if (steps?.includes(step) !== true) return;
    this.#left.shift();
    const tooLate = (): number => this.#left.unshift(steps);
    this.#timer = setTimeout(() => void this.#kill(pid, step, tooLate), this.#pauseMs / 2);
  }

  /** How often bodies of this step began. */
  bodiesOf(step: string): number {
    return this.#begun.get(step) ?? 0;
  }

  disarm(): void {
    clearTimeout(this.#timer);
  }

  async #kill(pid: number, step: string, tooLate: () => void): Promise<void> {
    const { crew } = this.#stage;
    // Somebody should be there to take over at once; the replacement of the last victim may still be loading. The step waits for nobody.
    if (crew.ready.length < WORKERS) await Promise.race([crew.fill(WORKERS), pause(this.#pauseMs / 4)]);
    const victim = crew.ready.find((member) => member.pid === pid);
    if (victim === undefined || this.#ended.has(step)) return tooLate();
    this.kills.push(crew.kill(victim));
    this.#tell({ event: "kill", worker: this.#who(pid), step: shortKey(step), inHand: 1 });
  }

  #who(pid: number): Who {
    const { name } = this.#stage.crew.byPid(pid) ?? STRANGER;
    return { name, pid };
  }
}

/** Makes the tale of the journal's events. */
class Narrator {
  readonly #stage: Stage;
  readonly #killer: Killer;
  readonly #tell: Tell;
  #worker: Who = STRANGER;
  #lost: string | null = null;
  #recorded = 0;
  #queries: readonly string[] = [];

  constructor(stage: Stage, killer: Killer, tell: Tell) {
    this.#stage = stage;
    this.#killer = killer;
    this.#tell = tell;
  }

  async tell(event: RunEvent): Promise<void> {
    if (event.kind === "lost") this.#lost = workerOf(event);
    if (event.kind === "claimed") await this.#claimed(event);
    if (event.kind === "step") this.#step(event);
  }

  async #claimed(event: RunEvent): Promise<void> {
    const workerId = workerOf(event);
    const { name, pid } = this.#stage.crew.byWorkerId(workerId) ?? STRANGER;
    this.#worker = { name, pid };
    const kill = this.#killer.kills.find((one) => one.workerId === this.#lost);
    this.#lost = null;
    if (kill === undefined) return;
    const afterMs = Date.parse(event.at) - this.#stage.clockAheadMs - kill.atMs;
    const replay = await this.#replayOf(workerId, event.runId);
    const [steps, queries] = replay === null ? [this.#recorded, null] : [replay.steps, replay.queries];
    this.#tell({ event: "takeover", from: kill.worker, by: this.#worker, afterMs, steps, queries });
  }

  /** The stream may be quicker than the worker's own word. */
  async #replayOf(workerId: string, runId: string): Promise<{ steps: number; queries: number } | null> {
    const untilMs = performance.now() + REPLAY_TOLD_MS;
    for (;;) {
      const replay = this.#stage.crew.replayOf(workerId, runId);
      if (replay !== null || performance.now() > untilMs) return replay;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  #step({ key, data }: RunEvent): void {
    const { value, failure, durationMs } = data as { value?: unknown; failure?: Error; durationMs: number };
    this.#recorded += 1;
    const step = shortKey(key ?? "");
    if (step === "plan") this.#queries = (value ?? []) as string[];
    const bodies = this.#killer.bodiesOf(key ?? "");
    const detail = failure === undefined ? this.#detail(step, value) : failure.message;
    const worker = this.#worker;
    this.#tell({ event: "step", worker, step, durationMs, detail, failed: failure !== undefined, bodies });
  }

  #detail(step: string, value: unknown): string {
    const [name = step, number = "1"] = step.split("#");
    if (name === "index") return `${Number(value).toLocaleString("en-US")} passages can be searched`;
    if (name === "plan") return `${this.#queries.length} searches`;
    if (name === "search") return `“${this.#queries[Number(number) - 1]}”: ${(value as unknown[]).length} hits`;
    if (name === "read") return pagesOf(value as { path: string }[]);
    return `${answerOf(value).citations.length} citations`;
  }
}

function failed(reason: string): DemoError {
  return new DemoError(
    `The run failed: ${reason}`,
    "Without OPENAI_API_KEY and ANTHROPIC_API_KEY it uses offline rules.",
  );
}

/** The first step of a name goes by the name alone. */
function shortKey(key: string): string {
  return key.replace(/#1$/, "");
}

function pagesOf(passages: readonly { path: string }[]): string {
  const pages = new Set(passages.map(({ path }) => path)).size;
  return `${passages.length} passages of ${pages} pages`;
}

function answerOf(output: unknown): Answer & { answer: string; model: string } {
  return output as Answer & { answer: string; model: string };
}
