// A claimer process, made to be killed: claims, holds each run for a moment, then finishes it or gives it back.
import { newId } from "../../src/engine/ids.ts";
import { pause } from "../lab/until.ts";
import { type Claimed, claim, finish, giveBack, housekeep, openStore } from "./store.ts";

export type ClaimerNews =
  | { readonly type: "ready"; readonly workerId: string }
  | { readonly type: "failed"; readonly message: string };

export interface ClaimerTask {
  readonly url: string;
  readonly leaseMs: number;
  readonly holdMs: number;
}

const { url, leaseMs, holdMs } = JSON.parse(process.env["LONGHAUL_BENCH_TASK"] ?? "{}") as ClaimerTask;
const workerId = newId();
const db = openStore(url, 4);
let closing = false;

function tell(news: ClaimerNews): void {
  process.send?.(news);
}

async function hold(run: Claimed): Promise<void> {
  await pause(Math.random() * holdMs);
  if (Math.random() < 0.1) await giveBack(db, workerId, [run]);
  else await finish(db, workerId, [run]);
}

async function claiming(): Promise<void> {
  const held = new Set<Promise<void>>();
  while (!closing) {
    const claims = held.size > 50 ? [] : await claim(db, workerId, 1 + Math.floor(Math.random() * 20), leaseMs);
    for (const run of claims) {
      const holding: Promise<void> = hold(run).finally(() => held.delete(holding));
      held.add(holding);
    }
    if (claims.length === 0) await pause(5);
  }
  await Promise.all(held);
}

/** Everybody looks after lapsed leases, as workers do. */
async function ticking(): Promise<void> {
  while (!closing) {
    await housekeep(db);
    await pause(200 + Math.random() * 200);
  }
}

process.on("message", (order: { readonly type: string }) => {
  if (order.type === "close") closing = true;
});
tell({ type: "ready", workerId });
try {
  await Promise.all([claiming(), ticking()]);
  await db.end();
  process.disconnect();
} catch (error) {
  tell({ type: "failed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
