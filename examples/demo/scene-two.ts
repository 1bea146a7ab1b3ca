// The second scene: many runs at once, and workers killed at random until the runs are done.
import { setTimeout as pause } from "node:timers/promises";
import type { Longhaul, Run, RunHandle } from "../../src/index.ts";
import { research } from "./agent.ts";
import type { Kill, Member } from "./crew.ts";
import type { DemoOptions } from "./options.ts";
import type { Stage } from "./stage.ts";
import type { Tell } from "./tale.ts";
import { type WitnessLine, watchWitness } from "./witness.ts";

export interface SceneTwo {
  /** Runs whose submission was answered. */
  readonly runIds: readonly string[];
  /** Why a run did not finish in time, one sentence each. */
  readonly stuck: readonly string[];
  readonly kills: readonly Kill[];
  readonly startedAtMs: number;
  readonly tookMs: number;
}

export const WORKERS_AT_ONCE = 4;
const KILLS_MAX = 5;
/** A kill comes at a random moment this long after the last one. */
const KILL_AFTER_MS = [900, 1_700] as const;
const LOOK_MS = 100;
/** Runs listed at once, at most 200. */
const PAGE = 200;
const FINISH_MS = 60_000;
const SEARCHES = 2;

export async function playSceneTwo(
  stage: Stage,
  { runs, seed, pausesMs: [, pauseMs] }: DemoOptions,
  tell: Tell,
  stop: AbortSignal,
): Promise<SceneTwo> {
  const { longhaul, crew, witness } = stage;
  await crew.fill(WORKERS_AT_ONCE);
  stop.throwIfAborted();
  const questions = await askAbout(stage, runs);
  const startedAtMs = Date.now();
  const startedMs = performance.now();
  const killedBefore = crew.kills.length;
  let finished = 0;
  const work = new Work();
  const progress = (): void =>
    tell({ event: "progress", finished, runs, bodies: work.ended, killed: crew.kills.length - killedBefore });
  const handles: RunHandle<unknown>[] = await Promise.all(
    questions.map((question) =>
      longhaul.submit(research, { question, searches: SEARCHES, offline: true }, { metadata: { pauseMs } }),
    ),
  );
  const ours = new Set(handles.map(({ runId }) => runId));
  const watching = watchWitness(witness, (line) => {
    if (ours.has(line.runId)) work.see(line);
  });
  const ticker = setInterval(progress, 100);
  const done = new AbortController();
  const killing = killAtRandom(stage, work, random(seed), AbortSignal.any([stop, done.signal]), tell);
  try {
    const abort = AbortSignal.any([stop, AbortSignal.timeout(FINISH_MS)]);
    const ends = await Promise.allSettled(
      handles.map(async ({ runId }) => {
        await longhaul.wait(runId, { abort });
        finished += 1;
      }),
    );
    stop.throwIfAborted();
    progress();
    const open = handles.filter((_, place) => ends[place]?.status === "rejected");
    const stuck = await Promise.all(open.map(async ({ runId }) => (await longhaul.why(runId)).sentence));
    const tookMs = performance.now() - startedMs;
    return { runIds: [...ours], stuck, kills: crew.kills.slice(killedBefore), startedAtMs, tookMs };
  } finally {
    done.abort();
    clearInterval(ticker);
    watching.stop();
    await killing;
  }
}

/** One question about each of the packages that are installed here, from the first again when there are not enough. */
async function askAbout({ documents }: Stage, runs: number): Promise<string[]> {
  const { rows } = await documents.query<{ package: string }>(
    "select distinct package from demo.passages order by package",
  );
  return Array.from({ length: runs }, (_, number) => `What is ${rows[number % rows.length]?.package ?? "it"}?`);
}

/** What each worker has in hand and has got done, as the witness sees it. */
class Work {
  ended = 0;
  readonly #inHand = new Map<number, number>();
  readonly #done = new Set<string>();

  see({ what, pid, runId }: WitnessLine): void {
    this.#inHand.set(pid, this.inHand(pid) + (what === "began" ? 1 : -1));
    if (what === "began") return;
    this.ended += 1;
    this.#done.add(`${pid} ${runId}`);
  }

  inHand(pid: number): number {
    return this.#inHand.get(pid) ?? 0;
  }

  /** True once a step of the run has ended in that process. */
  hasDone(pid: number, runId: string): boolean {
    return this.#done.has(`${pid} ${runId}`);
  }
}

/**
 * Kills one worker after the other, each at a random moment, while another is there to go on. A worker is spared until each
 * of its runs got a step done there: a run whose process dies twice without progress is suspicious, and tried alone.
 */
async function killAtRandom(
  { crew, longhaul }: Stage,
  work: Work,
  random: () => number,
  stop: AbortSignal,
  tell: Tell,
): Promise<void> {
  const [least, most] = KILL_AFTER_MS;
  const asleep = (ms: number): Promise<void> => pause(ms, undefined, { signal: stop }).catch(() => undefined);
  for (let killed = 0; killed < KILLS_MAX; killed += 1) {
    await asleep(least + (most - least) * random());
    let victims: readonly Member[] = [];
    while (victims.length === 0 && !stop.aborted) {
      await asleep(LOOK_MS);
      const held = await heldRuns(longhaul);
      if (crew.ready.length > 1) victims = crew.ready.filter((member) => hasProgressed(member, held, work));
    }
    const victim = victims[Math.floor(random() * victims.length)];
    if (victim === undefined || stop.aborted) return;
    const inHand = work.inHand(victim.pid);
    const { worker } = crew.kill(victim);
    tell({ event: "kill", worker, step: null, inHand });
  }
}

/** Worker id → the runs it holds. */
async function heldRuns(longhaul: Longhaul): Promise<ReadonlyMap<string | null, readonly string[]>> {
  const held = new Map<string | null, string[]>();
  let page: readonly Run[] = [];
  do {
    const before = page.at(-1)?.runId;
    page = await longhaul.list({ status: "running", limit: PAGE, ...(before !== undefined && { before }) });
    for (const { workerId, runId } of page) held.set(workerId, [...(held.get(workerId) ?? []), runId]);
  } while (page.length === PAGE);
  return held;
}

function hasProgressed(
  { workerId, pid }: Member,
  held: ReadonlyMap<string | null, readonly string[]>,
  work: Work,
): boolean {
  return work.inHand(pid) > 0 && (held.get(workerId) ?? []).every((runId) => work.hasDone(pid, runId));
}

/** Random numbers from 0 to 1 that a seed repeats (mulberry32). */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
