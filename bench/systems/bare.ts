// The floor: no runtime at all, one fenced insert per step, sent by the program itself.
import { openDatabase } from "../../src/store/database.ts";
import type { OpenSystem } from "./system.ts";

const INSERT = `insert into step (run_id, seq, body) select $1, $2, $3 from run
  where run_id = $1 and epoch = 1 and expires_at > clock_timestamp()`;

export const open: OpenSystem = async (url, stage, slots) => {
  const db = openDatabase({ url, max: Math.min(slots, 10) });
  await db.query(
    "create table if not exists run (run_id text primary key, epoch int not null, expires_at timestamptz not null)",
  );
  await db.query(`create table if not exists step (run_id text, seq int, body text,
    at timestamptz not null default clock_timestamp(), primary key (run_id, seq))`);
  let runs = 0;
  return {
    version: "one statement",
    submit: async (work) => {
      runs += 1;
      const id = `${process.pid}-${runs}`;
      await db.query("insert into run values ($1, 1, clock_timestamp() + interval '1 hour')", [id]);
      void stage.perform(work, (number) => db.query(INSERT, [id, number, '{"v":1}'], "step"));
    },
    close: () => db.end(),
  };
};
