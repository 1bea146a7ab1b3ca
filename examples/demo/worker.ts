// A worker process of the demo: what `longhaul worker` is, reduced to what the demo shows.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { KIND } from "../../src/domain/entry.ts";
import { connect } from "../../src/index.ts";
import { research } from "./agent.ts";
import { DEMO_PID, SLOTS, type WorkerMessage } from "./worker-message.ts";

const ONLY_RUN = "LONGHAUL_DEMO_ONLY_RUN";
const LONE_ID = "LONGHAUL_DEMO_LONE_ID";

/** Processes of this one in which a run is tried alone. */
const lone = new Set<ChildProcess>();

await work();

async function work(): Promise<void> {
  const url = process.env.LONGHAUL_DATABASE_URL;
  const onlyRun = process.env[ONLY_RUN];
  if (url === undefined) throw new Error("LONGHAUL_DATABASE_URL is not set: start the demo, not its worker");
  const stopped = new Promise<void>((resolve) => {
    // Ctrl-C reaches every process of a terminal; it is the demo's to answer.
    process.on("SIGINT", () => undefined);
    process.on("SIGTERM", resolve);
    // The channel ends with the demo. Whoever tries a run alone has a worker for a parent, which may be killed any moment.
    if (onlyRun === undefined) onceAlone(resolve);
    else endWith(Number(process.env[DEMO_PID]));
  });
  const workerId = process.env[LONE_ID];
  const worker = onlyRun === undefined ? { slots: SLOTS, isolate } : { onlyRun, ...(workerId && { workerId }) };
  const longhaul = await connect({ url, agents: [research], migrate: false, worker });
  countReplays(longhaul.database);
  if (longhaul.workerId !== null) tell({ type: "ready", workerId: longhaul.workerId });
  await Promise.race([stopped, ...(onlyRun === undefined ? [] : [longhaul.untilIdle()])]);
  for (const child of lone) child.kill("SIGKILL");
  await longhaul.close();
  process.exit(0);
}

/** Tries a suspicious run alone. The worker that asked frees the lease of this id when the process has ended. */
function isolate(runId: string, workerId: string): ChildProcess {
  const env = { ...process.env, [ONLY_RUN]: runId, [LONE_ID]: workerId };
  const child = fork(fileURLToPath(import.meta.url), { env, stdio: ["ignore", "inherit", "inherit", "ipc"] });
  lone.add(child.once("exit", () => lone.delete(child)));
  tell({ type: "isolated", runId });
  return child;
}

/** When the channel to the demo has ended, which may have been while this program was loading. */
function onceAlone(then: () => void): void {
  process.on("disconnect", then);
  if (!process.connected) then();
}

/** Ends this process when that one has ended. */
function endWith(pid: number): void {
  const look = (): void => {
    try {
      process.kill(pid, 0);
    } catch {
      process.exit(1);
    }
  };
  setInterval(look, 250).unref();
}

interface Queries {
  query<Row>(text: string, values?: readonly unknown[], name?: string): Promise<Row[]>;
}

interface JournalRow {
  readonly kind: number;
}

/** Listens on this process's statements, so that "in one query" is counted and not claimed. */
function countReplays(database: Queries): void {
  const query = database.query.bind(database);
  database.query = async <Row>(text: string, values?: readonly unknown[], name?: string): Promise<Row[]> => {
    const rows = await query<Row>(text, values, name);
    if (name === "lh_replay") tell(replayOf(values?.[0] as readonly string[], rows as readonly JournalRow[]));
    return rows;
  };
}

function replayOf(runIds: readonly string[], rows: readonly JournalRow[]): WorkerMessage {
  return { type: "replay", runIds, steps: rows.filter(({ kind }) => kind === KIND.step).length };
}

function tell(message: WorkerMessage): void {
  // Gone in the middle of a sentence: nobody is left to hear it.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
