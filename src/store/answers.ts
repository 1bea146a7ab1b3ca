// Statements for answers of models: who makes a call, what others wait for, what will do again. And for runs that are alike.
import type { Queryable } from "./database.ts";

export interface SoughtAnswer {
  /** `alone`: another makes the call, and the caller does not share. */
  readonly role: "lead" | "done" | "pending" | "alone";
  readonly value: string | null;
  /** When it asked, on the database's clock. */
  readonly seen: Date;
}

/** An answer that will do, or the caller's part in getting one. */
export async function seekAnswer(
  db: Queryable,
  ask: {
    readonly key: Buffer;
    readonly tenant: string;
    readonly owner: string;
    readonly leaseMs: number;
    readonly cacheMs: number | null;
    readonly share: boolean;
  },
): Promise<SoughtAnswer> {
  const [row] = await db.query<SoughtAnswer>(
    "select * from longhaul.seek_answer($1, $2, $3::uuid, $4::float8, $5::float8, $6)",
    [ask.key, ask.tenant, ask.owner, ask.leaseMs, ask.cacheMs, ask.share],
    "lh_seek_answer",
  );
  if (row === undefined) throw new Error("seek_answer gave no row");
  return row;
}

/** Keeps an answer for so long. False: another leads by now. */
export async function giveAnswer(
  db: Queryable,
  key: Buffer,
  tenant: string,
  owner: string,
  keepMs: number,
  value: string,
): Promise<boolean> {
  const text = "select longhaul.give_answer($1, $2, $3::uuid, $4::float8, $5)";
  const [row] = await db.query<{ give_answer: boolean }>(text, [key, tenant, owner, keepMs, value], "lh_give_answer");
  return row?.give_answer ?? false;
}

/** The call came to nothing: who waits for it learns that. */
export async function failAnswer(db: Queryable, key: Buffer, owner: string): Promise<void> {
  const text = `update longhaul.answers set state = 'failed', expires_at = clock_timestamp() + interval '1 minute'
    where answer_key = $1 and owner = $2 and state = 'pending'`;
  await db.query(text, [key, owner], "lh_fail_answer");
}

/** Says that those who make these calls still live. */
export async function renewAnswers(
  db: Queryable,
  led: readonly { readonly key: Buffer; readonly owner: string }[],
  leaseMs: number,
): Promise<void> {
  await db.query(
    `update longhaul.answers a set lease_until = clock_timestamp() + $3 * interval '1 millisecond'
       from unnest($1::bytea[], $2::uuid[]) l(key, owner) where a.answer_key = l.key and a.owner = l.owner and a.state = 'pending'`,
    [led.map(({ key }) => key), led.map(({ owner }) => owner), leaseMs],
    "lh_renew_answers",
  );
}

export interface FollowedAnswer {
  readonly key: Buffer;
  /** `gone`: nobody makes the call any more. `lapsed`: who made it has died. */
  readonly state: "pending" | "lapsed" | "done" | "failed" | "gone";
  readonly value: string | null;
}

/** What has become of calls that others make, as of when each follower began to wait. */
export function followAnswers(
  db: Queryable,
  followed: readonly { readonly key: Buffer; readonly seen: Date }[],
): Promise<FollowedAnswer[]> {
  return db.query<FollowedAnswer>(
    `select f.key,
            case when a.answer_key is null then 'gone'
                 when a.state = 'pending' and a.lease_until <= clock_timestamp() then 'lapsed'
                 when a.state = 'done' and a.made_at < f.seen then 'gone'
                 else a.state end as state,
            case when a.state = 'done' and a.made_at >= f.seen then a.value end as value
       from unnest($1::bytea[], $2::timestamptz[]) f(key, seen) left join longhaul.answers a on a.answer_key = f.key`,
    [followed.map(({ key }) => key), followed.map(({ seen }) => seen)],
    "lh_follow_answers",
  );
}

/** Drops answers whose time is over. Answers how many. */
export async function forgetAnswers(db: Queryable, limit: number): Promise<number> {
  const [row] = await db.query<{ forget_answers: number }>("select longhaul.forget_answers($1)", [limit]);
  return row?.forget_answers ?? 0;
}

/** Which run stands for an input: the asked one, or one that is recent. In the transaction that submits the asked one if it is to be. */
export async function shareRun(
  db: Queryable,
  run: { readonly tenant: string; readonly agent: string; readonly hash: Buffer; readonly runId: string },
  ttlMs: number,
): Promise<string> {
  const text = "select longhaul.share_run($1, $2, $3, $4::uuid, $5::float8)";
  const values = [run.tenant, run.agent, run.hash, run.runId, ttlMs];
  const [row] = await db.query<{ share_run: string }>(text, values, "lh_share_run");
  return row?.share_run ?? run.runId;
}

/** Forgets which runs were alike, where that is too long ago. Answers how many. */
export async function forgetRecentRuns(db: Queryable, limit: number): Promise<number> {
  const [row] = await db.query<{ forget_recent_runs: number }>("select longhaul.forget_recent_runs($1)", [limit]);
  return row?.forget_recent_runs ?? 0;
}
