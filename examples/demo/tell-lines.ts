// The tale for people: one line per thing that happened, a moving last line on a terminal, colours where they can be shown.
import { type LiveLine, liveLine } from "./live-line.ts";
import { type Colour, isColourful, type Paint, painter } from "./paint.ts";
import { summaryLines } from "./summary-lines.ts";
import { tableLines } from "./table-lines.ts";
import type { Proof, Tale, Teller, Who } from "./tale.ts";
import { wrapped } from "./wrapped.ts";

const WORKER_COLOURS: readonly Colour[] = ["cyan", "magenta", "yellow", "blue", "green"];
const STEP_WIDTH = 9;
const BAR_WIDTH = 28;

type Of<Event extends Tale["event"]> = Extract<Tale, { event: Event }>;

export function lineTeller(stream: NodeJS.WriteStream, env: Readonly<Record<string, string | undefined>>): Teller {
  const paint = painter(isColourful(stream, env));
  const live = liveLine(stream);
  const teller = new LineTeller(live, paint, Math.min(stream.columns ?? 120, 120));
  return { tell: (tale) => teller.tell(tale), end: () => live.show(null) };
}

class LineTeller {
  readonly #live: LiveLine;
  readonly #paint: Paint;
  readonly #columns: number;
  #scene = 0;
  /** What the moving line says, and the step that it is about. */
  #doing = "";
  #stepShown: string | null = null;
  #progress: Of<"progress"> | null = null;

  constructor(live: LiveLine, paint: Paint, columns: number) {
    this.#live = live;
    this.#paint = paint;
    this.#columns = columns;
  }

  tell(tale: Tale): void {
    const say = this.#sayings[tale.event] as (tale: Tale) => void;
    say(tale);
  }

  /** How each kind of news is told. */
  readonly #sayings: { readonly [Event in Tale["event"]]: (tale: Of<Event>) => void } = {
    welcome: (tale) => this.#welcome(tale),
    preparing: ({ what }) => this.#underWay(`preparing ${what}`, true),
    prepared: (tale) => this.#prepared(tale),
    indexing: ({ passages, pages }) =>
      this.#underWay(`indexing ${count(pages)} pages: ${count(passages)} passages`, false),
    // Where to look when something is wrong: for programs.
    processes: () => undefined,
    worker_ready: (tale) => this.#workerReady(tale),
    worker_died: ({ worker, end }) =>
      this.#lines(this.#paint("red", `  ! worker ${name(worker)} died by itself (${end})`)),
    scene: (tale) => this.#scenery(tale),
    submitted: (tale) => this.#submitted(tale),
    step_began: (tale) => this.#began(tale),
    step: (tale) => this.#step(tale),
    kill: (tale) => this.#kill(tale),
    takeover: (tale) => this.#takeover(tale),
    answer: (tale) => this.#answer(tale),
    proof: ({ proofs }) => this.#lines("", ...proofs.map((proof) => this.#proof(proof))),
    progress: (tale) => this.#moved(tale),
    table: ({ table }) => this.#final(tableLines(table, this.#paint)),
    summary: (tale) => this.#final(summaryLines(tale, this.#paint)),
    stopping: ({ signal }) => this.#final([`${signal}: ending the workers, the server and the database`]),
    failed: (tale) => this.#failed(tale),
  };

  #final(lines: readonly string[]): void {
    this.#live.show(null);
    this.#lines("", ...lines);
  }

  #lines(...lines: string[]): void {
    this.#live.print(lines.map((line) => `${line}\n`).join(""));
  }

  #underWay(what: string, anew: boolean): void {
    this.#doing = what;
    if (anew) this.#live.show((frame, ms) => this.#paint("dim", `  ${frame} ${this.#doing}  ${seconds(ms)}`));
  }

  #welcome({ model, runs, database }: Of<"welcome">): void {
    this.#lines(
      `${this.#paint("bold", "Longhaul demo")}: ${database}, a server, worker processes. Nothing else is touched.`,
      `  ${this.#paint("bold", "1")}  An agent answers a question from real documents (${model}). kill -9 hits its worker, twice.`,
      `  ${this.#paint("bold", "2")}  ${runs} runs at once, workers killed at random. A witness file outside counts every step.`,
      "",
    );
  }

  #prepared({ what, detail, seconds: took }: Of<"prepared">): void {
    this.#live.show(null);
    this.#lines(`  ${this.#paint("green", "✓")} ${what}: ${detail}  ${this.#paint("dim", `${took.toFixed(1)} s`)}`);
  }

  /** In the second scene workers come and go too quickly to be news. */
  #workerReady({ worker, seconds: took }: Of<"worker_ready">): void {
    if (this.#scene === 2) return;
    this.#lines(
      `  ${this.#paint("green", "✓")} ${this.#who(worker)} ready  ${this.#paint("dim", `${took.toFixed(1)} s`)}`,
    );
  }

  #scenery({ number, title, about }: Of<"scene">): void {
    this.#scene = number;
    this.#live.show(null);
    this.#lines(
      "",
      this.#paint("bold", `Scene ${number}: ${title}`),
      ...about.map((line) => this.#paint("dim", `  ${line}`)),
    );
  }

  #submitted({ runId, question, follow }: Of<"submitted">): void {
    this.#lines(
      `  ${this.#paint("bold", question)}`,
      this.#paint("dim", `  run ${runId}`),
      this.#paint("dim", `  ${follow}`),
      "",
    );
  }

  #began({ worker, step, again }: Of<"step_began">): void {
    this.#stepShown = step;
    const how = again ? ` ${this.#paint("yellow", "again: it was cut off before it was recorded")}` : "";
    this.#live.show((frame, ms) => `  ${this.#who(worker)}  ${frame} ${step.padEnd(STEP_WIDTH)} ${seconds(ms)}${how}`);
  }

  #step({ worker, step, durationMs, detail, failed, bodies }: Of<"step">): void {
    // The next step may have begun before the news of this one's record came.
    if (this.#stepShown === step) this.#live.show(null);
    const tick = failed ? this.#paint("red", "✗") : this.#paint("green", "✓");
    const again = bodies > 1 ? this.#paint("yellow", `  (body begun ${bodies} times, recorded once)`) : "";
    this.#lines(`  ${this.#who(worker)}  ${tick} ${step.padEnd(STEP_WIDTH)} ${seconds(durationMs)}  ${detail}${again}`);
  }

  #proof({ by, says, holds }: Proof): string {
    const mark = holds ? this.#paint("green", "✓") : this.#paint(["red", "bold"], "✗");
    return `  ${mark} ${by.padEnd("witness".length)}  ${says}`;
  }

  #kill({ worker, step, inHand }: Of<"kill">): void {
    if (step !== null) this.#live.show(null);
    const where = step === null ? `with ${inHand} steps in hand` : `in the middle of ${step}`;
    this.#lines(this.#paint(["red", "bold"], `  ✗ KILL  kill -9 worker ${name(worker)}, ${where}`));
  }

  #takeover({ from, by, afterMs, steps, queries }: Of<"takeover">): void {
    const read = queries === null ? "" : ` in ${queries} ${queries === 1 ? "query" : "queries"}`;
    const what = `lease of ${from.name} freed by the supervisor, ${this.#who(by)} took over in ${seconds(afterMs)}`;
    const replayed = `replayed ${steps} recorded ${steps === 1 ? "step" : "steps"}`;
    this.#lines(`  ${this.#paint("yellow", "↻")} ${what}, ${replayed}${read}`);
  }

  #answer({ text, citations, model }: Of<"answer">): void {
    this.#live.show(null);
    const bar = this.#paint("cyan", "│");
    const body = wrapped(text, this.#columns - 5).map((line) => `  ${bar} ${line}`.trimEnd());
    const sources = citations.map(({ n, path, heading }) => `  ${bar} [${n}] ${path} › ${heading}`);
    const title = `  ${this.#paint("bold", "Answer")} ${this.#paint("dim", `(${model})`)}`;
    this.#lines("", title, ...body, `  ${bar}`, ...sources, "");
  }

  #moved(progress: Of<"progress">): void {
    const first = this.#progress === null;
    this.#progress = progress;
    if (!first) return;
    this.#live.show((_, ms) => {
      const { finished, runs, bodies, killed } = this.#progress ?? progress;
      const full = Math.round((BAR_WIDTH * finished) / runs);
      const bar = this.#paint("green", "█".repeat(full)) + this.#paint("dim", "░".repeat(BAR_WIDTH - full));
      return `  ${bar} ${finished}/${runs} finished, ${count(bodies)} bodies, ${killed} killed ${seconds(ms)}`;
    });
  }

  #failed({ message, hint }: Of<"failed">): void {
    this.#live.show(null);
    this.#lines(
      "",
      this.#paint("red", `The demo could not go on: ${message}`),
      ...(hint === null ? [] : [`  ${hint}`]),
    );
  }

  #who(worker: Who): string {
    const place = worker.name.charCodeAt(0) - "A".charCodeAt(0);
    const colour = WORKER_COLOURS[Math.max(0, place) % WORKER_COLOURS.length] ?? "cyan";
    return this.#paint(colour, `worker ${name(worker)}`);
  }
}

function name(worker: Who): string {
  return `${worker.name} (pid ${worker.pid})`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

function count(number: number): string {
  return number.toLocaleString("en-US");
}
