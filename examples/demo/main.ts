// `npm run demo`: sets the stage, plays two scenes, reckons, and clears everything away. Exit code 0 if every promise held.
import { constants } from "node:os";
import { isLonghaulError } from "../../src/index.ts";
import { createModel } from "./model.ts";
import { type DemoOptions, HELP, parseOptions } from "./options.ts";
import { playSceneOne } from "./scene-one.ts";
import { playSceneTwo, WORKERS_AT_ONCE } from "./scene-two.ts";
import { Curtain, setStage } from "./stage.ts";
import { DemoError, type Tell, type Teller } from "./tale.ts";
import { jsonTeller } from "./tell-json.ts";
import { lineTeller } from "./tell-lines.ts";
import { proofOf, proveRuns, tableOf, verdictsOf } from "./verdicts.ts";
import { readWitness } from "./witness.ts";
import { SLOTS } from "./worker-message.ts";

const EXIT = { kept: 0, broken: 1, usage: 2 };
const LINGER_MS = 20_000;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

async function main(args: readonly string[]): Promise<number> {
  let options: DemoOptions | null;
  try {
    options = parseOptions(args);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${HELP}`);
    return EXIT.usage;
  }
  if (options === null) {
    console.log(HELP);
    return EXIT.kept;
  }
  return await perform(options, options.json ? jsonTeller(process.stdout) : lineTeller(process.stdout, process.env));
}

async function perform(options: DemoOptions, teller: Teller): Promise<number> {
  const curtain = new Curtain();
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stop.signal.aborted) return;
    teller.tell({ event: "stopping", signal });
    stop.abort(signal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  // `npm run demo | head`: the reader has seen enough.
  process.stdout.on("error", () => stop.abort("SIGPIPE"));
  try {
    const playing = play(options, teller.tell, curtain, stop.signal);
    playing.catch(() => undefined);
    return await Promise.race([playing, interrupted(stop.signal)]);
  } catch (error) {
    teller.tell({ event: "failed", ...explained(error) });
    return EXIT.broken;
  } finally {
    // Should anything hold this process for no good reason.
    setTimeout(() => process.exit(), LINGER_MS).unref();
    for (const failure of await curtain.fall()) teller.tell({ event: "failed", ...explained(failure) });
    teller.end();
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/** The shell's code for the signal, as soon as it comes. */
function interrupted(stop: AbortSignal): Promise<number> {
  return new Promise((resolve) => {
    stop.addEventListener("abort", () => resolve(128 + constants.signals[stop.reason as NodeJS.Signals]));
  });
}

async function play(options: DemoOptions, tell: Tell, curtain: Curtain, stop: AbortSignal): Promise<number> {
  const startedMs = performance.now();
  tell({
    event: "welcome",
    question: options.question,
    model: createModel(process.env).name,
    runs: options.runs,
    database:
      options.url === undefined ? `an embedded PostgreSQL in ${options.dataDir}` : "the PostgreSQL given by --url",
    stepPauseMs: options.pausesMs[0],
  });
  const stage = await setStage(options, tell, curtain, stop);
  const { crew } = stage;

  tell({
    event: "scene",
    number: 1,
    title: "One run, two kills",
    about: [
      `Every step is slowed down by ${options.pausesMs[0] / 1_000} s, so that you can watch and a kill lands in the middle of it.`,
    ],
  });
  const one = await playSceneOne(stage, options, tell, stop);
  const oneProof = await proveRuns(stage, [one.runId]);
  tell({ event: "proof", proofs: proofOf(one, oneProof, crew.kills.length) });

  tell({
    event: "scene",
    number: 2,
    title: `${options.runs} runs at once, workers killed at random`,
    about: [
      `${WORKERS_AT_ONCE} workers with ${SLOTS} slots each; every step slowed down by ${options.pausesMs[1] / 1_000} s; offline rules for all.`,
      `Kills at random moments (seed ${options.seed}); a worker is spared until each of its runs got a step done there.`,
    ],
  });
  const two = await playSceneTwo(stage, options, tell, stop);
  const twoProof = await proveRuns(stage, two.runIds);
  tell({ event: "table", table: tableOf(two, twoProof, readWitness(stage.witness), crew.alone.size) });

  await crew.drain();
  stop.throwIfAborted();
  const verdicts = verdictsOf(one, oneProof, two, twoProof);
  tell({ event: "summary", verdicts, seconds: (performance.now() - startedMs) / 1_000, next: NEXT });
  return verdicts.every(({ kept }) => kept) ? EXIT.kept : EXIT.broken;
}

const NEXT = [
  { command: "npm start", says: "leaves this agent and those in examples/ up: HTTP API on http://127.0.0.1:2024" },
  {
    command: `curl -s 127.0.0.1:2024/runs/wait -H 'content-type: application/json' -d '{"assistant_id":"research","input":{"question":"What is Hono?"}}'`,
    says: "asks it something",
  },
  { command: "docs/quickstart.md", says: "an agent of your own in five minutes; docs/reference/http.md: the API" },
];

function explained(error: unknown): { message: string; hint: string | null } {
  if (isLonghaulError(error)) return { message: `${error.code}: ${error.message}`, hint: error.hint };
  if (error instanceof DemoError) return { message: error.message, hint: error.hint };
  return { message: error instanceof Error ? error.message : String(error), hint: null };
}

process.exitCode = await main(process.argv.slice(2));
