// The long-sleep example: asleep it is a row, without a worker, a slot or a process; and it wakes in another process.
import { expect, test } from "vitest";
import { reminder } from "../../examples/long-sleep/agent.ts";
import { untilStatus, useStage } from "../support/longhaul.ts";

const stage = useStage();

test("it sleeps while no process runs at all, and wakes in the next one", async () => {
  const before = await stage.worker([reminder]);
  const { runId } = await before.submit(reminder, { to: "Ann", about: "the milk", after: "2 seconds" });
  await untilStatus(before, runId, "waiting");
  await before.close();

  const after = await stage.worker([reminder]);
  const result = await after.wait(runId, { timeoutMs: 20_000 });
  expect(result).toMatchObject({
    status: "succeeded",
    output: { to: "Ann", text: "Dear Ann, do not forget the milk." },
  });
  const { sleptMs } = (result as { output: { sleptMs: number } }).output;
  expect(sleptMs).toBeGreaterThan(1_900);

  // The step before the sleep was recorded once, and not run again by the second process.
  const steps = (await after.inspect(runId))?.steps ?? [];
  expect(steps.filter(({ kind }) => kind === "step").map(({ key, attempts }) => [key, attempts])).toEqual([
    ["write#1", 1],
    ["deliver#1", 1],
  ]);
});

test("a sleep of thirty days costs one row each: nobody holds it, it uses no slot, and it is not looked at before its time", async () => {
  const longhaul = await stage.worker([reminder], { warmMs: 0 });
  const handles = await Promise.all(
    Array.from({ length: 20 }, () => longhaul.submit(reminder, { to: "Ben", about: "the rent", after: "30 days" })),
  );
  for (const { runId } of handles) await untilStatus(longhaul, runId, "waiting");

  const ids = handles.map(({ runId }) => runId);
  const held = await stage.db.query<{ runs: number; held: number; ready: number; later: number; days: number }>(
    `select count(*)::int as runs, count(l.worker_id)::int as held,
            (select count(*)::int from longhaul.ready y where y.run_id = any($1::uuid[])) as ready,
            (select count(*)::int from longhaul.later d where d.run_id = any($1::uuid[])) as later,
            (select round(extract(epoch from min(d.due_at) - clock_timestamp()) / 86400)::int
               from longhaul.later d where d.run_id = any($1::uuid[])) as days
       from longhaul.live l where l.run_id = any($1::uuid[])`,
    [ids],
  );
  expect(held).toEqual([{ runs: 20, held: 0, ready: 0, later: 20, days: 30 }]);
  const [queue] = (await longhaul.queues()).filter(({ build }) => build === stage.build);
  expect(queue).toMatchObject({ depth: 0, inFlight: 0 });

  const [first] = ids;
  expect((await longhaul.why(first ?? "")).code).toBe("timer");
  await Promise.all(handles.map((handle) => handle.cancel()));
});
