// Blocks as lines of a terminal: column widths, shortening, colours.
import { styleText } from "node:util";
import type { Block, Cell, Column, Tone } from "./blocks.ts";

export interface Paper {
  /** Width in characters. */
  readonly columns: number;
  readonly color: boolean;
}

const GAP = "  ";
const LEAST_FLEXIBLE = 8;

const formats: Readonly<Record<Tone, Parameters<typeof styleText>[0] | null>> = {
  plain: null,
  strong: "bold",
  dim: "gray",
  good: "green",
  warn: "yellow",
  bad: "red",
  info: "cyan",
};

/** The blocks as text, each ending with a newline, but those that are text themselves. */
export function layOut(blocks: readonly Block[], paper: Paper): string {
  return blocks.map((block, index) => layOutOne(block, index === 0, paper)).join("");
}

function layOutOne(block: Block, isFirst: boolean, paper: Paper): string {
  switch (block.kind) {
    case "table":
      return block.rows.length === 0
        ? `${tint("dim", block.empty, paper)}\n`
        : layOutTable(block.columns, block.rows, paper);
    case "fields":
      return layOutFields(block.fields, paper);
    case "heading":
      return `${isFirst ? "" : "\n"}${tint("strong", block.text, paper)}\n`;
    case "line":
      return `${block.cells.map((cell) => paint(cell, textOf(cell), paper)).join(" ")}\n`;
    case "text":
      return paint(block.text, textOf(block.text), paper);
  }
}

function layOutTable(columns: readonly Column[], rows: readonly (readonly Cell[])[], paper: Paper): string {
  const widths = fitWidths(
    columns,
    columns.map((column, index) => widest([column.title, ...rows.map((row) => row[index] ?? "")])),
    paper,
  );
  const layOutRow = (cells: readonly Cell[]): string =>
    columns
      .map((column, index) => {
        const cell = cells[index] ?? "";
        const isLast = index === columns.length - 1;
        const text = shorten(oneLine(textOf(cell)), widths[index] ?? 0);
        const padding = " ".repeat(Math.max(0, (widths[index] ?? 0) - widthOf(text)));
        const painted = paint(cell, text, paper);
        if (column.align === "right") return padding + painted;
        return isLast ? painted : painted + padding;
      })
      .join(GAP);
  const titles = columns.map((column): Cell => ({ text: column.title.toUpperCase(), tone: "dim" }));
  return [titles, ...rows].map((cells) => `${layOutRow(cells).trimEnd()}\n`).join("");
}

/** Takes what is missing from the flexible columns, the widest first. */
function fitWidths(columns: readonly Column[], natural: readonly number[], paper: Paper): number[] {
  const widths = [...natural];
  const gaps = GAP.length * (columns.length - 1);
  for (;;) {
    const excess = widths.reduce((sum, width) => sum + width, gaps) - paper.columns;
    if (excess <= 0) return widths;
    const candidates = columns
      .map((column, index) => ({ index, width: column.flexible === true ? (widths[index] ?? 0) : 0 }))
      .filter(({ width }) => width > LEAST_FLEXIBLE)
      .sort((a, b) => b.width - a.width);
    const [first, second] = candidates;
    if (first === undefined) return widths;
    const least = Math.max(LEAST_FLEXIBLE, second !== undefined && second.width < first.width ? second.width : 0);
    widths[first.index] = Math.max(least, first.width - excess);
  }
}

function layOutFields(fields: readonly (readonly [string, Cell])[], paper: Paper): string {
  const width = widest(fields.map(([name]) => name));
  const indent = `\n${" ".repeat(width + GAP.length)}`;
  return fields
    .map(([name, value]) => {
      const label = tint("dim", name, paper) + " ".repeat(width - widthOf(name));
      return `${label}${GAP}${paint(value, textOf(value).replaceAll("\n", indent), paper)}\n`;
    })
    .join("");
}

function paint(cell: Cell, text: string, paper: Paper): string {
  return typeof cell === "string" ? text : tint(cell.tone, text, paper);
}

function tint(tone: Tone, text: string, paper: Paper): string {
  const format = formats[tone];
  if (!paper.color || format === null || text === "") return text;
  return styleText(format, text, { validateStream: false });
}

const textOf = (cell: Cell): string => printable(typeof cell === "string" ? cell : cell.text);
const widest = (cells: readonly Cell[]): number => Math.max(0, ...cells.map((cell) => widthOf(oneLine(textOf(cell)))));
const oneLine = (text: string): string => text.replace(/\s*\n\s*/g, " ");

/** Data must not steer the terminal: control characters other than newline and tab are shown, not sent. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}

const WIDE = /\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60]/u;
const NO_WIDTH = /^[\p{Mark}\p{Cf}]$/u;

/** Columns of a terminal that a text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += NO_WIDTH.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}

function shorten(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let short = "";
  let used = 1;
  for (const character of text) {
    used += widthOf(character);
    if (used > width) break;
    short += character;
  }
  return `${short}…`;
}
