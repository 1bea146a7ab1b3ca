// How a Markdown page becomes passages: headings, code, clutter, and the bounds that hold for any text.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sectionCharsMax, splitMarkdown } from "../../../examples/demo/markdown.ts";

const headingsOf = (text: string) => splitMarkdown(text).sections.map((section) => section.heading);
const bodiesOf = (text: string) => splitMarkdown(text).sections.map((section) => section.body);

describe("headings", () => {
  it("names a section by the headings above it, without the page's title", () => {
    const page = splitMarkdown(
      "# Pool\n\nKeeps some connections.\n\n## Use\n\nCreate one pool.\n\n### Close it\n\nCall the end method.\n\n## License\n\nThe MIT license.",
    );
    expect(page.title).toBe("Pool");
    expect(page.sections.map((section) => section.heading)).toEqual(["", "Use", "Use › Close it", "License"]);
  });

  it("understands underlined and HTML headings", () => {
    const text =
      '<h1 align="center">Hono</h1>\n\nA small framework.\n\nQuick start\n-----------\n\nInstall it first, then run.';
    expect(splitMarkdown(text).title).toBe("Hono");
    expect(headingsOf(text)).toEqual(["", "Quick start"]);
  });

  it("takes no heading below the first text for the title of the page", () => {
    const page = splitMarkdown("A framework without a headline.\n\n## Quick start\n\nInstall it and run.");
    expect(page.title).toBeNull();
    expect(page.sections.map((section) => section.heading)).toEqual(["", "Quick start"]);
  });

  it("leaves a comment in a shell script alone", () => {
    const text = "# Tool\n\n```sh\n# not a heading\nnpm install tool\n```";
    expect(bodiesOf(text)).toEqual(["```sh\n# not a heading\nnpm install tool\n```"]);
  });

  it("does not take a table or a rule for an underline", () => {
    expect(
      headingsOf("# T\n\n| name | use |\n| --- | --- |\n| one | the first |\n\n---\n\nMore words follow here."),
    ).toEqual([""]);
  });
});

describe("clutter", () => {
  it("drops badges, images, comments, link targets and front matter", () => {
    const text = [
      "---\ntitle: hidden front matter\n---",
      "[![Build](https://ci.test/badge.svg)](https://ci.test) ![Logo](logo.png)",
      "<!-- a comment\nover two lines -->",
      "See [the manual](https://docs.test/a_(b)) and [`run()`](#run), or [the list][list], &amp; <b>go</b>.",
      "[list]: https://docs.test/list",
    ].join("\n");
    expect(bodiesOf(text)).toEqual(["See the manual and `run()`, or the list, & go."]);
  });

  it("drops a table of contents, but not a list of links to pages", () => {
    expect(bodiesOf("# T\n\n- [Install](#install)\n- [Use it](#use)\n\n- [The long guide](guide.md)")).toEqual([
      "- The long guide",
    ]);
  });

  it("keeps what looks like HTML inside code", () => {
    expect(bodiesOf("Pass an `Array<string>` or write `<!-- this -->` here, then <!-- hidden --> go on.")).toEqual([
      "Pass an `Array<string>` or write `<!-- this -->` here, then  go on.",
    ]);
  });
});

describe("bounds", () => {
  it("cuts a long section between paragraphs and closes the code block that it must cut", () => {
    const code = Array.from({ length: 200 }, (_, line) => `const value${line} = compute(${line});`).join("\n");
    const bodies = bodiesOf(`# Long\n\nAn introduction in words.\n\n\`\`\`js\n${code}\n\`\`\``);
    expect(bodies.length).toBeGreaterThan(3);
    for (const body of bodies.slice(1)) expect(body).toMatch(/^```js\n[\s\S]*\n```$/);
    expect(bodies.join("\n")).toContain("const value199");
  });

  it("holds for any text, and loses no word of plain prose", () => {
    const word = fc.stringMatching(/^[a-z]{2,12}$/);
    const paragraph = fc.array(word, { minLength: 3, maxLength: 400 }).map((words) => words.join(" "));
    fc.assert(
      fc.property(fc.array(paragraph, { minLength: 1, maxLength: 8 }), (paragraphs) => {
        const bodies = bodiesOf(paragraphs.join("\n\n"));
        for (const body of bodies) expect(body.length).toBeLessThanOrEqual(sectionCharsMax);
        expect(bodies.join(" ").split(/\s+/)).toEqual(paragraphs.join(" ").split(/\s+/));
      }),
    );
  });

  it("holds for broken Markdown", () => {
    const piece = fc.constantFrom(
      "#",
      "```",
      "~~~",
      "[",
      "](",
      "!",
      "|",
      "<",
      "<!--",
      "-->",
      "\n",
      "\n\n",
      " ",
      "word",
      "=".repeat(9),
    );
    const long = fc.integer({ min: 1, max: 5_000 }).map((length) => "x".repeat(length));
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, long), { maxLength: 120 }), (pieces) => {
        for (const body of bodiesOf(pieces.join(""))) expect(body.length).toBeLessThanOrEqual(sectionCharsMax);
      }),
    );
  });
});
