// What people see of a command's data: tables, named fields, headings and lines, without colours or widths.

export type Tone = "plain" | "strong" | "dim" | "good" | "warn" | "bad" | "info";

export interface Toned {
  readonly text: string;
  readonly tone: Tone;
}

export type Cell = string | Toned;

export interface Column {
  readonly title: string;
  /** Numbers stand right. Default left. */
  readonly align?: "left" | "right";
  /** Shortened first when the terminal is narrow. Default false: keeps its width. */
  readonly flexible?: boolean;
}

export type Block =
  | {
      readonly kind: "table";
      readonly columns: readonly Column[];
      readonly rows: readonly (readonly Cell[])[];
      readonly empty: string;
    }
  | { readonly kind: "fields"; readonly fields: readonly (readonly [name: string, value: Cell])[] }
  | { readonly kind: "heading"; readonly text: string }
  | { readonly kind: "line"; readonly cells: readonly Cell[] }
  /** As it is: the next block goes on behind it. */
  | { readonly kind: "text"; readonly text: Cell };

export const toned = (tone: Tone, text: string): Toned => ({ text, tone });
export const heading = (text: string): Block => ({ kind: "heading", text });
export const line = (...cells: Cell[]): Block => ({ kind: "line", cells });
export const text = (cell: Cell): Block => ({ kind: "text", text: cell });

/** Named values; those that are null or undefined are left out. */
export function fields(named: Readonly<Record<string, Cell | null | undefined>>): Block {
  const present = Object.entries(named).filter(
    (entry): entry is [string, Cell] => entry[1] !== null && entry[1] !== undefined,
  );
  return { kind: "fields", fields: present };
}

/** A table of items; `empty` is said, with the command to run next, when there are none. */
export function table<Item>(
  items: readonly Item[],
  columns: readonly (Column & { readonly cell: (item: Item) => Cell })[],
  empty: string,
): Block {
  const rows = items.map((item) => columns.map((column) => column.cell(item)));
  return { kind: "table", columns: columns.map(({ cell: _, ...column }) => column), rows, empty };
}
