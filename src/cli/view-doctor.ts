// An examination as people see it: what is wrong first, then everything that was looked at.
import { type Block, type Cell, heading, line, table, toned } from "./blocks.ts";
import type { Examination, InvariantReport, SchemaReport } from "./doctor.ts";
import { brief } from "./show.ts";

export function viewExamination(found: Examination): Block[] {
  const { well, version, configFile, settings, problem, checks, schema, invariants } = found;
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
  if (invariants.length > 0) blocks.push(heading("Invariants"), ...viewInvariants(invariants));
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

function viewInvariants(invariants: readonly InvariantReport[]): Block[] {
  const broken = invariants.filter(({ violations }) => violations > 0);
  if (broken.length === 0) return [line(mark(true, "error"), `all ${invariants.length} hold`)];
  return broken.map(({ invariant, violations }) =>
    line(mark(false, "error"), invariant, toned("bad", `${violations} rows break it`)),
  );
}

function mark(ok: boolean, level: "error" | "warning"): Cell {
  if (ok) return toned("good", "  ok");
  return level === "error" ? toned("bad", "FAIL") : toned("warn", "WARN");
}
