// The heartbeat, in a thread of its own with a connection of its own: a busy event loop does not lose the leases of its runs.
// It beats only while the main thread makes progress, so that a loop that is stuck for good does lose them.
import { writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import pg from "pg";

const { url, statement, workerId, leaseMs, beatMs, stallMs, endWhenStalled, progress } = workerData;
const counter = new Int32Array(progress);

/** A timer that is this late did not find a processor. */
const FROZEN_MS = 1_000;

let runs = { ids: [], epochs: [] };
let client = null;
let lastCount = -1;
let movedAt = performance.now();
let stopped = false;

parentPort.on("message", (message) => {
  if (message.type === "runs") runs = message;
  if (message.type === "stop") {
    stopped = true;
    void client?.end().catch(() => undefined);
    parentPort.close();
  }
});

const now = () => performance.timeOrigin + performance.now();

/** Has the main thread's timer run since the last look? */
function moving() {
  const count = Atomics.load(counter, 0);
  if (count !== lastCount) {
    lastCount = count;
    movedAt = performance.now();
  }
  return performance.now() - movedAt < stallMs;
}

async function connected() {
  if (client !== null) return client;
  const fresh = new pg.Client({
    connectionString: url,
    application_name: "longhaul heartbeat",
    connectionTimeoutMillis: Math.min(3_000, leaseMs / 2),
    query_timeout: Math.min(3_000, leaseMs / 2),
    keepAlive: true,
  });
  fresh.on("error", () => {
    if (client === fresh) client = null;
  });
  await fresh.connect();
  client = fresh;
  return fresh;
}

/** Nothing but a kill ends a loop without end. The main thread cannot log any more. */
function endProcess() {
  const message = `the event loop was blocked for ${stallMs} ms: the process is killed, and its runs go on elsewhere`;
  const line = { level: "error", time: new Date().toISOString(), pid: process.pid, message };
  try {
    writeSync(2, `${JSON.stringify(line)}\n`);
  } catch {
    // Nobody reads.
  }
  process.kill(process.pid, "SIGKILL");
}

async function beat() {
  if (!moving()) {
    // Also with no run known: the one that blocks may have been claimed a moment before.
    if (endWhenStalled) endProcess();
    if (runs.ids.length > 0) parentPort.postMessage({ type: "stalled" });
    return;
  }
  if (runs.ids.length === 0) return;
  const sentAt = now();
  try {
    const { rows } = await (await connected()).query({
      name: "lh_heartbeat",
      text: statement,
      values: [workerId, leaseMs, runs.ids, runs.epochs],
    });
    parentPort.postMessage({ type: "beat", sentAt, rows });
  } catch (error) {
    const broken = client;
    client = null;
    void broken?.end().catch(() => undefined);
    parentPort.postMessage({ type: "failed", message: String(error?.message ?? error) });
  }
}

async function loop() {
  while (!stopped) {
    const askedAt = performance.now();
    await new Promise((resolve) => setTimeout(resolve, beatMs));
    // The whole process was frozen, or its machine: that says nothing about the main thread.
    if (performance.now() - askedAt > beatMs + FROZEN_MS) movedAt = performance.now();
    if (!stopped) await beat();
  }
}

void loop();
