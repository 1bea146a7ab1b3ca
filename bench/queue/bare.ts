// The floor: a queue without tenants, lanes, leases or fences, that writes as many rows per run as Longhaul does.
import { newId } from "../../src/engine/ids.ts";
import type { Database, Queryable } from "../../src/store/database.ts";

const TABLES = `
  create table bare_job (id uuid primary key, input text not null);
  create table bare_open (id uuid primary key);
  create table bare_entry (id uuid, seq int, at timestamptz not null default clock_timestamp(), body text, primary key (id, seq));
  create table bare_outcome (id uuid primary key, at timestamptz not null default clock_timestamp(), output text)`;

const SUBMIT = `with job as (insert into bare_job select id, 'null' from unnest($1::uuid[]) id returning id)
  insert into bare_open select id from job`;

const CLAIM = `with mine as materialized (
    select id from bare_open order by id limit $1 for update skip locked
  ), gone as (
    delete from bare_open o where o.id = any(array(select m.id from mine m)) returning o.id
  ), noted as (
    insert into bare_entry (id, seq, body) select g.id, 1, '{"worker":"bench"}' from gone g
  )
  select j.id, j.input from bare_job j where j.id = any(array(select m.id from mine m))`;

const FINISH = `with noted as (insert into bare_entry (id, seq, body) select id, 2, '{"status":"succeeded"}' from unnest($1::uuid[]) id)
  insert into bare_outcome (id, output) select id, 'null' from unnest($1::uuid[]) id`;

export async function makeBare(db: Database): Promise<void> {
  for (const statement of TABLES.split(";")) await db.query(statement);
}

export async function submitBare(db: Queryable, count: number): Promise<void> {
  await db.query(SUBMIT, [Array.from({ length: count }, newId)], "bare_submit");
}

export async function claimBare(db: Queryable, count: number): Promise<string[]> {
  const rows = await db.query<{ id: string }>(CLAIM, [count], "bare_claim");
  return rows.map(({ id }) => id);
}

export async function finishBare(db: Queryable, ids: readonly string[]): Promise<void> {
  await db.query(FINISH, [ids], "bare_finish");
}
