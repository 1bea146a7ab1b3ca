// A claim's figures: as a table for people, and as JSON that is kept beside the code.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Claim, holds, type Measure, ratioOf } from "./claim.ts";
import type { Machine } from "./machine.ts";
import { rounded } from "./statistics.ts";

const RESULTS = new URL("../results/", import.meta.url);

/** Lines of a table: what, value, baseline, ratio, bar, verdict. */
export function table(measures: readonly Measure[]): string {
  const rows = [
    ["", "measured", "baseline", "ratio", "bar", ""],
    ...measures.map((measure) => [
      measure.what,
      withUnit(measure.value, measure.unit),
      measure.baseline === undefined ? "" : withUnit(measure.baseline.value, measure.unit),
      ratioText(measure),
      barText(measure),
      verdict(measure),
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => pad(cell, widths[column] ?? 0, column))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Writes bench/results/<claim>.json. Only what a reader needs to judge it: no names, no folders. */
export function keep(
  claim: Claim,
  machine: Machine,
  version: string,
  measures: readonly Measure[],
  tookMs: number,
): void {
  mkdirSync(RESULTS, { recursive: true });
  const result = {
    claim: claim.name,
    sentence: claim.sentence,
    measuredAt: new Date().toISOString(),
    tookSeconds: Math.round(tookMs / 1_000),
    longhaul: version,
    machine,
    measures: measures.map((measure) => ({
      ...measure,
      value: rounded(measure.value),
      ...(measure.baseline === undefined
        ? {}
        : { baseline: { ...measure.baseline, value: rounded(measure.baseline.value) } }),
      ratio: ratioOf(measure) === null ? undefined : rounded(ratioOf(measure) ?? 0),
      holds: holds(measure) ?? undefined,
    })),
  };
  writeFileSync(fileURLToPath(new URL(`${claim.name}.json`, RESULTS)), `${JSON.stringify(result, null, 2)}\n`);
}

function withUnit(value: number, unit: string): string {
  const text =
    Math.abs(value) >= 1_000 ? Math.round(value).toLocaleString("en-US") : String(Number(value.toPrecision(3)));
  return unit === "" ? text : `${text} ${unit}`;
}

function ratioText(measure: Measure): string {
  const ratio = ratioOf(measure);
  return ratio === null ? "" : `× ${Number(ratio.toPrecision(3))}`;
}

function barText({ bar, unit }: Measure): string {
  if (bar === undefined) return "";
  const sign = bar.at === "most" ? "≤" : "≥";
  return bar.of === "ratio" ? `${sign} × ${bar.limit}` : `${sign} ${withUnit(bar.limit, unit)}`;
}

function verdict(measure: Measure): string {
  const held = holds(measure);
  return held === null ? "" : held ? "holds" : "MISSED";
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 || column === 5 ? cell.padEnd(width) : cell.padStart(width);
}
