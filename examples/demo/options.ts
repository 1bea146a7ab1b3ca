// What the demo can be told on its command line.
import { parseArgs } from "node:util";

export interface DemoOptions {
  readonly question: string;
  /** Shorter pauses and fewer runs, for a test. */
  readonly fast: boolean;
  readonly json: boolean;
  /** A PostgreSQL server to use instead of the embedded one: the demo makes a database of its own on it, and drops it. */
  readonly url: string | undefined;
  /** Where the embedded PostgreSQL keeps its data. */
  readonly dataDir: string;
  /** Runs of the second scene. */
  readonly runs: number;
  /** Of the random numbers that choose whom to kill, and when. */
  readonly seed: number;
  /** How much longer each step takes, so that it can be watched: in the first and in the second scene. */
  readonly pausesMs: readonly [number, number];
}

export const HELP = `npm run demo -- [question] [options]

  question            Something that the Markdown pages of this project or of an installed package answer
  --fast              Shorter pauses, fewer runs
  --runs <number>     Runs of the second scene, 1 to 1000 (200)
  --seed <number>     Repeats the choice of whom to kill, and when
  --json              One JSON object per line
  --data-dir <folder> Data of the embedded PostgreSQL (.longhaul/demo)
  --url <url>         A PostgreSQL server instead; the demo makes a database of its own on it, and drops it at the end
  --help              This

OPENAI_API_KEY or ANTHROPIC_API_KEY makes the first scene use that model. DATABASE_URL is not used.
NO_COLOR=1 turns colours off.
`;

const QUESTION = "How do I abort a running task in piscina?";

/** Null for --help. @throws Error that says what cannot be understood */
export function parseOptions(args: readonly string[]): DemoOptions | null {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      fast: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      url: { type: "string" },
      "data-dir": { type: "string", default: ".longhaul/demo" },
      runs: { type: "string" },
      seed: { type: "string" },
    },
  });
  if (values.help) return null;
  const { fast, json, url } = values;
  return {
    question: positionals.join(" ").trim() || QUESTION,
    fast,
    json,
    url,
    dataDir: values["data-dir"],
    runs: whole("--runs", values.runs, fast ? 60 : 200, 1, 1_000),
    seed: whole("--seed", values.seed, Date.now() % 1_000_000, 0, 4_294_967_295),
    pausesMs: fast ? [300, 400] : [700, 700],
  };
}

function whole(flag: string, text: string | undefined, otherwise: number, min: number, max: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`${flag} takes a whole number from ${min} to ${max}, not "${text}"`);
}
