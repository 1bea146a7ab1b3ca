// Statements on what steps are writing: blocks of messages, until the journal has the whole.
import type { Queryable } from "./database.ts";

/** A piece of a message under its number; see 0017_tokens.sql. */
export interface TokenBlock {
  readonly runId: string;
  readonly epoch: number;
  readonly n: number;
  readonly take: number;
  readonly pos: number;
  readonly afterSeq: number;
  readonly attempt: number;
  readonly key: string;
  /** The parts as an encoded array. */
  readonly body: string;
}

/** A message whose blocks are not needed any more; null: all messages of the run. */
export interface DeadMessage {
  readonly runId: string;
  /** Written under this epoch or an earlier one. */
  readonly epoch: number;
  readonly key: string | null;
}

/** One asynchronous statement for everything that a worker has to say. Blocks of runs that it does not hold any more are dropped. */
export async function writeTokens(
  db: Queryable,
  blocks: readonly TokenBlock[],
  dead: readonly DeadMessage[],
): Promise<void> {
  await db.query(
    `select longhaul.write_tokens($1::uuid[], $2::int[], $3::int[], $4::int[], $5::int[], $6::int[], $7::smallint[], $8::text[], $9::text[],
       $10::uuid[], $11::int[], $12::text[])`,
    [
      blocks.map((b) => b.runId),
      blocks.map((b) => b.epoch),
      blocks.map((b) => b.n),
      blocks.map((b) => b.take),
      blocks.map((b) => b.pos),
      blocks.map((b) => b.afterSeq),
      blocks.map((b) => b.attempt),
      blocks.map((b) => b.key),
      blocks.map((b) => b.body),
      dead.map((d) => d.runId),
      dead.map((d) => d.epoch),
      dead.map((d) => d.key),
    ],
    "lh_write_tokens",
  );
}

/** Deletes what dead workers have left. */
export async function sweepTokens(db: Queryable, olderMs: number): Promise<number> {
  const [row] = await db.query<{ n: number }>("select longhaul.sweep_tokens($1) as n", [olderMs]);
  return row?.n ?? 0;
}
