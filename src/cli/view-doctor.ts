// An examination as people see it: what is wrong first, then everything that was looked at.
import { type Block, type Cell, heading, line, table, toned } from "./blocks.ts";
import type { Examination, InvariantsReport, SchemaReport } from "./doctor.ts";
import type { QueueReport } from "./examine-queue.ts";
import { brief, duration } from "./show.ts";

export function viewExamination(found: Examination): Block[] {
  const { well, version, configFile, settings, problem, checks, schema, invariants, queue } = found;
  const blocks: Block[] = [
    line(
      well ? toned("good", "well") : toned("bad", "not well"),
      toned("dim", `longhaul ${version.longhaul}, node ${version.node}`),
    ),
    heading("Settings"),
    line(toned("dim", configFile ?? "no config file")),
    table(
      settings,
      [
        { title: "setting", cell: (one) => one.setting },
        { title: "value", flexible: true, cell: (one) => (one.value === null ? toned("dim", "-") : brief(one.value)) },
        { title: "from", cell: (one) => (one.from === null ? toned("dim", "default") : `${one.source} ${one.from}`) },
      ],
      "",
    ),
    heading("Database"),
  ];
  if (problem !== null)
    blocks.push(line(toned("bad", problem.code), problem.message), line(toned("info", "  fix"), problem.hint));
  for (const { check, ok, level, value, hint } of checks) {
    blocks.push(line(mark(ok, level), check, toned("dim", value)));
    if (!ok) blocks.push(line(toned("info", "     fix"), hint));
  }
  if (schema !== null) blocks.push(...viewSchema(schema));
  if (queue !== null) blocks.push(heading("Queue"), ...viewQueue(queue));
  if (invariants !== null) blocks.push(heading("Invariants"), ...viewInvariants(invariants));
  return blocks;
}

function viewSchema({ schema, version, known, pending }: SchemaReport): Block[] {
  if (version === null)
    return [line(mark(false, "warning"), `schema ${schema}`, toned("dim", "not there yet: longhaul migrate"))];
  const isCurrent = pending.length === 0;
  const state = isCurrent
    ? `version ${version}`
    : `version ${version} of ${known}, pending: ${pending.join(", ")}: longhaul migrate`;
  return [line(mark(isCurrent, "warning"), `schema ${schema}`, toned("dim", state))];
}

function viewQueue({ unfinished, unfinishedMax, full, unserved, deadLetters }: QueueReport): Block[] {
  const most = unfinishedMax === null ? "" : ` of at most ${unfinishedMax}`;
  const blocks = [line(mark(!full, "warning"), "unfinished runs", toned("dim", `${unfinished}${most}`))];
  if (full)
    blocks.push(line(toned("info", "     fix"), "Submits are refused: add workers, or raise limits.unfinishedMax."));
  for (const { queue, build, waiting, oldestMs } of unserved) {
    const what = `${waiting} waiting, the oldest for ${duration(oldestMs)}`;
    blocks.push(line(mark(false, "warning"), `nobody serves queue ${queue} of build ${build}`, toned("dim", what)));
    blocks.push(line(toned("info", "     fix"), `longhaul worker --queues ${queue} --build ${build}`));
  }
  blocks.push(line(mark(deadLetters === 0, "warning"), "dead letters", toned("dim", String(deadLetters))));
  if (deadLetters > 0) blocks.push(line(toned("info", "     fix"), "longhaul dead list"));
  return blocks;
}

function viewInvariants({ asked, broken }: InvariantsReport): Block[] {
  if (broken.length === 0) return [line(mark(true, "error"), `all ${asked} hold`)];
  return broken.flatMap(({ invariant, name, sentence, rows }) => [
    line(mark(false, "error"), `${invariant} ${name}`, toned("bad", `broken in ${rows.length} places`)),
    line(toned("dim", `     ${sentence}`)),
    ...rows.slice(0, 3).map((row) => line(toned("dim", `     ${brief(row)}`))),
  ]);
}

function mark(ok: boolean, level: "error" | "warning"): Cell {
  if (ok) return toned("good", "  ok");
  return level === "error" ? toned("bad", "FAIL") : toned("warn", "WARN");
}
