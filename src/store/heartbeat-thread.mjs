// The heartbeat, in a thread of its own with a connection of its own: a busy event loop does not lose the leases of its runs.
// It beats only while the main thread makes progress, so that a loop that is stuck for good does lose them.
import { parentPort, workerData } from "node:worker_threads";
import pg from "pg";

const { url, statement, workerId, leaseMs, beatMs, stallMs, progress } = workerData;
const counter = new Int32Array(progress);

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

async function beat() {
  if (runs.ids.length === 0) return;
  if (!moving()) {
    parentPort.postMessage({ type: "stalled" });
    return;
  }
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
    await new Promise((resolve) => setTimeout(resolve, beatMs));
    if (!stopped) await beat();
  }
}

void loop();
