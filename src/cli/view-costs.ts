// Costs and charges as people see them.
import type { ConcentrationReport, CostFigures, CostLine, CostReport, Percentiles } from "../domain/costs.ts";
import type { ChargePage } from "../runtime/costs-api.ts";
import { type Block, type Cell, heading, line, table, toned } from "./blocks.ts";
import type { Acknowledged, Costs } from "./costs.ts";
import { ago, duration } from "./show.ts";

export function viewCosts(report: Costs): Block[] {
  return "lines" in report ? viewLines(report) : viewConcentration(report);
}

function viewLines({ by, lines, total, more, isComplete, since }: CostReport): Block[] {
  const all: readonly (CostLine & { readonly isTotal?: boolean })[] =
    lines.length < 2 ? lines : [...lines, { key: "total", isTotal: true, ...total }];
  return [
    table(
      all,
      [
        { title: by, flexible: true, cell: ({ key, isTotal }) => nameOf(key, isTotal) },
        { title: "USD", align: "right", cell: (one) => usd(one.usd, one.isTotal) },
        { title: "calls", align: "right", cell: ({ calls }) => whole(calls) },
        { title: "failed", align: "right", cell: ({ failed }) => (failed === 0 ? none : toned("bad", whole(failed))) },
        { title: "saved", align: "right", cell: ({ cached, coalesced }) => zeroed(cached + coalesced) },
        { title: "in", align: "right", cell: ({ inputTokens }) => tokens(inputTokens) },
        { title: "cached", align: "right", cell: ({ cacheReadTokens }) => tokens(cacheReadTokens) },
        { title: "out", align: "right", cell: ({ outputTokens }) => tokens(outputTokens) },
        { title: "thought", align: "right", cell: ({ reasoningTokens }) => tokens(reasoningTokens) },
        { title: "p50/p95", align: "right", cell: ({ latencyMs }) => spread(latencyMs) },
        { title: "first", align: "right", cell: ({ firstChunkMs }) => spread(firstChunkMs) },
      ],
      `No model calls since ${day(since)}.`,
    ),
    ...(more === 0 ? [] : [line(toned("dim", `${more} more: --limit shows them`))]),
    ...unpriced(total),
    ...incomplete(isComplete),
  ];
}

function viewConcentration({ runs, usd: sum, shares, top, isComplete, since }: ConcentrationReport): Block[] {
  if (runs === 0) return [line(`No runs made model calls since ${day(since)}.`)];
  return [
    line(toned("strong", `${whole(runs)} runs`), `cost ${money(sum)} since ${day(since)}`),
    table(
      shares,
      [
        { title: "the most expensive", cell: ({ percent }) => `${percent} %` },
        { title: "runs", align: "right", cell: (one) => whole(one.runs) },
        { title: "of the cost", align: "right", cell: ({ part }) => `${(part * 100).toFixed(1)} %` },
      ],
      "",
    ),
    heading("The most expensive runs"),
    table(
      top,
      [
        { title: "run", cell: ({ runId }) => runId },
        { title: "tenant", flexible: true, cell: ({ tenant }) => tenant },
        { title: "agent", flexible: true, cell: ({ agent }) => agent ?? toned("dim", "-") },
        { title: "USD", align: "right", cell: (one) => usd(one.usd) },
        { title: "calls", align: "right", cell: ({ calls }) => whole(calls) },
        { title: "in", align: "right", cell: ({ inputTokens }) => tokens(inputTokens) },
        { title: "out", align: "right", cell: ({ outputTokens }) => tokens(outputTokens) },
      ],
      "",
    ),
    ...incomplete(isComplete),
  ];
}

export function viewCharges({ charges, next }: ChargePage): Block[] {
  return [
    table(
      charges,
      [
        { title: "run", cell: ({ runId }) => runId },
        { title: "tenant", flexible: true, cell: ({ tenant }) => tenant },
        { title: "agent", flexible: true, cell: ({ agent }) => agent },
        { title: "USD", align: "right", cell: (one) => usd(one.usd) },
        { title: "in", align: "right", cell: ({ inputTokens }) => tokens(inputTokens) },
        { title: "out", align: "right", cell: ({ outputTokens }) => tokens(outputTokens) },
        { title: "steps", align: "right", cell: ({ steps }) => whole(steps) },
        { title: "calls", align: "right", cell: ({ calls }) => whole(calls) },
        { title: "ended", cell: ({ finishedAt }) => ago(finishedAt) },
        { title: "", cell: ({ deliveredAt }) => (deliveredAt === null ? toned("warn", "pending") : "") },
      ],
      "No charges.",
    ),
    ...(next === null ? [] : [line(toned("dim", `There may be more: --after ${next}`))]),
  ];
}

export function viewAcknowledged({ acknowledged }: Acknowledged): Block[] {
  const { length } = acknowledged;
  return [line(`${length} ${length === 1 ? "charge is" : "charges are"} pending no more.`)];
}

const none: Cell = toned("dim", "-");

function nameOf(key: string | null, isTotal = false): Cell {
  if (isTotal) return toned("strong", "all");
  return key ?? toned("dim", "(not said)");
}

function usd(amount: number, isTotal = false): Cell {
  return isTotal ? toned("strong", money(amount)) : money(amount);
}

/** Cents where there are dollars; more places where there are only parts of a cent. */
function money(amount: number): string {
  if (amount >= 1 || amount === 0) return amount.toFixed(2);
  return amount >= 0.0001 ? amount.toFixed(4) : amount.toPrecision(2);
}

function whole(count: number): string {
  return count.toLocaleString("en");
}

function zeroed(count: number): Cell {
  return count === 0 ? none : whole(count);
}

/** `1.2M`, `34k`. */
function tokens(count: number): Cell {
  if (count === 0) return none;
  if (count < 10_000) return whole(count);
  return count < 1_000_000 ? `${Math.round(count / 1_000)}k` : `${(count / 1_000_000).toFixed(1)}M`;
}

function spread(times: Percentiles | null): Cell {
  return times === null ? none : `${duration(times.p50)} / ${duration(times.p95)}`;
}

function day(iso: string): string {
  return iso.slice(0, 10);
}

function unpriced(total: CostFigures): Block[] {
  if (total.unpriced === 0) return [];
  const text = `${whole(total.unpriced)} calls have no known price and count as 0: set gateway.prices in longhaul.config.ts.`;
  return [line(toned("warn", text))];
}

function incomplete(isComplete: boolean): Block[] {
  return isComplete
    ? []
    : [line(toned("warn", "There were more calls than one report looks at: name a shorter time."))];
}
