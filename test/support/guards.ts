// Triggers that only tests install: what is written once never changes (8, 16) and only retention drops it (54), states follow the
// table (17), epochs only rise (14).
import { FINAL_STATES, LIVE_STATES, MOVES } from "../../src/domain/run.ts";
import type { Database } from "../../src/store/database.ts";

const edges = [...LIVE_STATES, ...FINAL_STATES].flatMap((from) => MOVES[from].map((to) => `('${from}', '${to}')`));

const GUARDS = `
create schema longhaul_test;
create table longhaul_test.legal (from_state text, to_state text, primary key (from_state, to_state));
insert into longhaul_test.legal values ${edges.join(", ")};
create table longhaul_test.left_live (run_id uuid primary key, state text not null);

create function longhaul_test.refuse() returns trigger language plpgsql as $$
declare callers text;
begin
  get diagnostics callers = pg_context;
  if tg_op = 'DELETE' and callers ~ 'function (longhaul\\.)?(drop_trees|clear_leftovers)\\(' then return old; end if;
  raise exception 'invariant 8/16: % of %.% is refused: it was written once and for all', tg_op, tg_table_schema, tg_table_name;
end $$;
create trigger immutable before update or delete on longhaul.journal for each row execute function longhaul_test.refuse();
create trigger immutable before update or delete on longhaul.outcomes for each row execute function longhaul_test.refuse();
create trigger immutable before update or delete on longhaul.runs for each row execute function longhaul_test.refuse();

create function longhaul_test.move() returns trigger language plpgsql as $$
begin
  if tg_op = 'INSERT' then
    if new.state <> 'queued' then raise exception 'invariant 17: run % is born %', new.run_id, new.state; end if;
    return null;
  end if;
  if tg_op = 'DELETE' then
    insert into longhaul_test.left_live values (old.run_id, old.state);
    return null;
  end if;
  if new.state <> old.state and not exists (
    select from longhaul_test.legal l where l.from_state = old.state and l.to_state = new.state) then
    raise exception 'invariant 17: run % moves from % to %', new.run_id, old.state, new.state;
  end if;
  if new.epoch < old.epoch or (new.state = 'running' and old.state <> 'running' and new.epoch = old.epoch) then
    raise exception 'invariant 14: epoch of run % goes from % to %', new.run_id, old.epoch, new.epoch;
  end if;
  if new.journal_seq < old.journal_seq then
    raise exception 'invariant 8: the journal of run % goes back from % to %', new.run_id, old.journal_seq, new.journal_seq;
  end if;
  return null;
end $$;
create trigger moves after insert or update or delete on longhaul.live for each row execute function longhaul_test.move();

create function longhaul_test.finish() returns trigger language plpgsql as $$
begin
  if not exists (
    select from longhaul_test.left_live e join longhaul_test.legal l on l.from_state = e.state
     where e.run_id = new.run_id and l.to_state = new.status) then
    raise exception 'invariant 17: run % ends as %, coming from %', new.run_id, new.status,
      (select e.state from longhaul_test.left_live e where e.run_id = new.run_id);
  end if;
  return null;
end $$;
create trigger finish after insert on longhaul.outcomes for each row execute function longhaul_test.finish();
`;

/** Installs the guards in a fresh database; whoever breaks one of them gets an error from PostgreSQL. */
export async function installGuards(db: Database): Promise<void> {
  await db.query(GUARDS);
}
