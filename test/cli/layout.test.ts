// What people see: columns that fit, colours only where wanted, and no data that steers the terminal.
import { describe, expect, test } from "vitest";
import { fields, heading, line, table, toned } from "../../src/cli/blocks.ts";
import { layOut, widthOf } from "../../src/cli/layout.ts";

const plain = { columns: 80, color: false };
const items = [
  { id: "1", name: "short", note: "n" },
  { id: "22", name: "a much longer name than fits into the column", note: "a note that is rather long, too" },
];
const columns = [
  { title: "id", align: "right", cell: (item: (typeof items)[number]) => item.id },
  { title: "name", flexible: true, cell: (item: (typeof items)[number]) => toned("good", item.name) },
  { title: "note", flexible: true, cell: (item: (typeof items)[number]) => item.note },
] as const;

describe("tables", () => {
  test("align their columns", () => {
    expect(layOut([table(items.slice(0, 1), columns, "")], plain)).toBe("ID  NAME   NOTE\n 1  short  n\n");
  });

  test.each([30, 40, 60, 79, 80, 200])("fit into %i characters", (width) => {
    const text = layOut([table(items, columns, "")], { columns: width, color: false });
    for (const row of text.trimEnd().split("\n")) expect(widthOf(row)).toBeLessThanOrEqual(width);
    expect(text.includes("…")).toBe(width < 83);
    expect(text).toContain("22");
  });

  test("say what to do when they are empty", () => {
    expect(layOut([table([], columns, "Nothing here.")], plain)).toBe("Nothing here.\n");
  });

  test("keep line breaks and wide characters from spoiling the columns", () => {
    const odd = [
      { id: "1", name: "two\nlines", note: "日本語" },
      { id: "2", name: "🙂", note: "e\u0301" },
    ];
    expect(layOut([table(odd, columns, "")], plain)).toBe(
      "ID  NAME       NOTE\n 1  two lines  日本語\n 2  🙂         e\u0301\n",
    );
  });
});

test("fields that are not there are left out, long ones are indented", () => {
  const block = fields({ run: "1", reason: null, gone: undefined, output: "a\nb" });
  expect(layOut([block], plain)).toBe("run     1\noutput  a\n        b\n");
});

test("headings stand apart", () => {
  expect(layOut([heading("One"), line("a"), heading("Two"), line("b", toned("dim", "c"))], plain)).toBe(
    "One\na\n\nTwo\nb c\n",
  );
});

test("colours are escape codes, and none without colour", () => {
  const blocks = [line(toned("bad", "no"))];
  expect(layOut(blocks, { columns: 80, color: true })).toBe("\u001b[31mno\u001b[39m\n");
  expect(layOut(blocks, plain)).toBe("no\n");
});

test("control characters in data are shown and not sent", () => {
  expect(layOut([line("\u001b[2Jgone\u0007\u009b1m")], plain)).toBe("\\x1b[2Jgone\\x07\\x9b1m\n");
});
