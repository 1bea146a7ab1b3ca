// The table under the second scene.
import type { Paint } from "./paint.ts";
import type { KillRow, SceneTable } from "./tale.ts";

const KILL_WIDTHS = [18, 8, 10, 14, 14, 14];

export function tableLines(table: SceneTable, paint: Paint): string[] {
  const { takeoverMs: ms } = table;
  const good = (text: string, ok: boolean): string => paint(ok ? "green" : ["red", "bold"], text);
  const rows: [string, string][] = [
    ["runs finished", good(`${table.succeeded} of ${table.runs}`, table.succeeded === table.runs)],
    ["steps executed and recorded", count(table.stepsRecorded)],
    ["step bodies begun (witness file)", count(table.bodiesBegun)],
    ["  cut off by a kill, begun again", count(table.bodiesCutOff)],
    ["  begun again after being recorded", good(String(table.reExecuted), table.reExecuted === 0)],
    ["workers killed", String(table.kills.length)],
    ["runs taken over", count(table.takeovers)],
    [
      "takeover time, wait for a slot included",
      ms === null ? "-" : `median ${seconds(ms.median)}, p95 ${seconds(ms.p95)}, slowest ${seconds(ms.slowest)}`,
    ],
    ["runs tried alone after two deaths", String(table.triedAlone)],
    ["all of it took", `${table.seconds.toFixed(1)} s`],
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  return [
    ...rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`),
    "",
    paint("dim", `  ${cells(["killed", "at", "its runs", "bodies in hand", "first elsewhere", "last elsewhere"])}`),
    ...table.kills.map((kill) => `  ${cells(killCells(kill))}`),
  ];
}

function killCells({ worker, atMs, runs, inHand, firstMs, lastMs }: KillRow): string[] {
  return [
    `${worker.name} (pid ${worker.pid})`,
    `${(atMs / 1_000).toFixed(1)} s`,
    String(runs),
    String(inHand),
    firstMs === null ? "-" : seconds(firstMs),
    lastMs === null ? "-" : seconds(lastMs),
  ];
}

function cells(texts: readonly string[]): string {
  return texts
    .map((text, place) => text.padEnd(KILL_WIDTHS[place] ?? 0))
    .join("  ")
    .trimEnd();
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

function count(number: number): string {
  return number.toLocaleString("en-US");
}
