// Turns one Markdown page into plain, bounded pieces that follow its headings.

/** A piece of a page: the headings it stands under, outermost first, and its text. */
export interface Section {
  heading: string;
  body: string;
}

/** A page taken apart: its title (null when it names none) and its sections in reading order. */
export interface Page {
  title: string | null;
  sections: Section[];
}

/** The size at which a section is split; whole paragraphs and code blocks are kept together where they fit. */
export const sectionCharsMax = 1_600;

// Wider than any real line of prose; beyond it (minified data, inlined images) cleaning is not worth the time.
const lineCharsMax = 4_000;

const htmlTags =
  /<\/?(?:a|abbr|b|big|blockquote|br|center|code|dd|del|details|div|dl|dt|em|font|h[1-6]|hr|i|img|ins|kbd|li|ol|p|picture|pre|q|s|samp|small|source|span|strike|strong|sub|summary|sup|svg|table|tbody|td|tfoot|th|thead|tr|u|ul|var|video)(?:\s[^<>]*)?\/?>/gi;
const entities: Record<string, string> = { amp: "&", gt: ">", lt: "<", nbsp: " ", quot: '"', "#39": "'" };

/**
 * Splits a Markdown page by its headings (`#`, underlined and `<h1>`). Badges, images, comments, front matter, tables
 * of contents and link targets are dropped, since nobody wants them quoted; fenced code is kept as it stands.
 */
export function splitMarkdown(text: string): Page {
  const page: Page = { title: null, sections: [] };
  const path: { level: number; text: string }[] = [];
  let block: string[] = [];
  let fence: string | null = null;

  const close = () => {
    const names = path.map((part) => part.text).filter((name) => name !== page.title);
    const heading = names.join(" › ");
    for (const body of splitBody(block.join("\n")))
      if (worthKeeping(heading, body)) page.sections.push({ heading, body });
    block = [];
  };
  for (const line of withoutComments(withoutFrontMatter(text)).split(/\r?\n/)) {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== null) {
      if (mark?.startsWith(fence) && line.trim() === mark) fence = null;
      block.push(line.trimEnd());
      continue;
    }
    if (mark) {
      fence = mark;
      block.push(line.trimEnd());
      continue;
    }
    const found = headingOf(line, block);
    if (!found) {
      const clean = cleanLine(line);
      if (clean !== null) block.push(clean);
      continue;
    }
    if (found.underlined) block.pop();
    close();
    while (path.length > 0 && (path.at(-1)?.level ?? 0) >= found.level) path.pop();
    path.push({ level: found.level, text: found.text });
    // A heading below the first text is not the page's title, but that of a part of it.
    if (path.length === 1 && page.sections.length === 0) page.title ??= found.text;
  }
  close();
  return page;
}

function headingOf(line: string, before: string[]): { level: number; text: string; underlined: boolean } | null {
  const hashes = /^ {0,3}(#{1,6})\s+(\S.*)$/.exec(line);
  if (hashes?.[1] && hashes[2]) return named(hashes[1].length, hashes[2].replace(/\s+#+\s*$/, ""), false);
  const html = line.length < lineCharsMax ? /^\s*<h([1-6])(?:\s[^<>]*)?>(.*?)(?:<\/h[1-6]>|$)/i.exec(line) : null;
  if (html?.[1] && html[2]) return named(Number(html[1]), html[2], false);
  const last = before.at(-1)?.trim();
  const underline = /^ {0,3}(=+|-{2,})\s*$/.exec(line)?.[1];
  if (underline && last && !before.at(-2)?.trim() && !/^([|>*+-]|\d+\.)\s?/.test(last)) {
    return named(underline.startsWith("=") ? 1 : 2, last, true);
  }
  return null;
}

function named(level: number, raw: string, underlined: boolean) {
  const text = (cleanLine(raw) ?? "").replaceAll(/[`*]|:\w+:/g, "").trim();
  return text === "" ? null : { level, text: text.slice(0, 160), underlined };
}

/** One line of prose without its markup, or null for a line that says nothing (link definitions, contents, badges). */
function cleanLine(line: string): string | null {
  if (line.length > lineCharsMax) return line.slice(0, lineCharsMax);
  if (/^\s{0,3}(?:\[[^\]]+\]:\s+\S+|(?:[-*_] ?){3,}\s*$)/.test(line)) return null;
  if (/^\s*([-*+]|\d+[.)])\s*\[[^\]]*\]\(#[^)]*\)\s*$/.test(line)) return null;
  const clean = line
    .split(/(`+[^`]+`+)/)
    .map((part) => (part.startsWith("`") ? part : cleanText(part)))
    .join("")
    // A link whose text is code was cut in two by the split above; its shell is removed here.
    .replaceAll(/\[(`[^`\]]+`)\](?:\([^()\s]*\)|\[[^\]]*\])/g, "$1")
    .trimEnd();
  return clean.trim() === "" && line.trim() !== "" ? null : clean;
}

function cleanText(text: string): string {
  return text
    .replaceAll(/\[?!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])(?:\](?:\([^)]*\)|\[[^\]]*\]))?/g, "")
    .replaceAll(/\[([^[\]]+)\](?:\([^()]*(?:\([^()]*\)[^()]*)?\)|\[[^\]]*\])/g, "$1")
    .replaceAll(htmlTags, "")
    .replaceAll(/<(https?:[^<>\s]+)>/g, "$1")
    .replaceAll(/\\([*_#[\]().!~<>-])/g, "$1")
    .replaceAll(/&(amp|gt|lt|nbsp|quot|#39);/g, (whole, name: string) => entities[name] ?? whole);
}

function withoutFrontMatter(text: string): string {
  const body = text.startsWith("\uFEFF") ? text.slice(1) : text;
  const end = /^---\r?\n/.test(body) ? body.indexOf("\n---", 4) : -1;
  return end > 0 && end < 4_000 ? body.slice(body.indexOf("\n", end + 1) + 1) : body;
}

/** Comments outside code; a page about HTML may well quote a `<!--` that nothing closes. */
function withoutComments(text: string): string {
  const codeOrComment = /(```[\s\S]*?```|~~~[\s\S]*?~~~|`[^`\n]*`)|<!--[\s\S]*?-->/g;
  return text.replaceAll(codeOrComment, (_, code: string | undefined) => code ?? "");
}

function worthKeeping(heading: string, body: string): boolean {
  if (/(^|› )(table of contents|contents|toc)$/i.test(heading)) return false;
  return /\p{L}{2}/u.test(body);
}

/** Cuts a section into bodies of at most `sectionCharsMax`, between blocks where it can, inside one where it must. */
function splitBody(text: string): string[] {
  const bodies: string[] = [];
  let body = "";
  for (const block of blocksOf(text).flatMap(cutBlock)) {
    if (body !== "" && body.length + block.length + 2 > sectionCharsMax) {
      bodies.push(body);
      body = "";
    }
    body = body === "" ? block : `${body}\n\n${block}`;
  }
  return body === "" ? bodies : [...bodies, body];
}

/** Paragraphs, lists and fenced code blocks; blank lines inside a fence do not split it. */
function blocksOf(text: string): string[] {
  const blocks: string[] = [];
  let lines: string[] = [];
  let fence: string | null = null;
  const close = () => {
    if (lines.length > 0) blocks.push(lines.join("\n"));
    lines = [];
  };
  for (const line of text.split("\n")) {
    const mark = /^\s*(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== null) {
      lines.push(line);
      if (mark?.startsWith(fence) && line.trim() === mark) {
        fence = null;
        close();
      }
    } else if (mark) {
      close();
      fence = mark;
      lines.push(line);
    } else if (line.trim() === "") {
      close();
    } else {
      lines.push(line);
    }
  }
  if (fence !== null) lines.push(fence);
  close();
  return blocks;
}

function cutBlock(block: string): string[] {
  if (block.length <= sectionCharsMax) return [block];
  const open = /^\s*(`{3,}|~{3,}).*$/m.exec(block);
  const fenced = open !== null && open.index === 0;
  const inner = fenced ? block.split("\n").slice(1, -1) : block.split("\n");
  const [head, tail] = fenced ? [`${open[0].slice(0, 80)}\n`, `\n${open[1]?.slice(0, 80)}`] : ["", ""];
  const room = sectionCharsMax - head.length - tail.length;
  const pieces: string[] = [];
  let piece = "";
  for (const line of inner.flatMap((whole) => cutLine(whole, room))) {
    if (piece !== "" && piece.length + line.length + 1 > room) {
      pieces.push(head + piece + tail);
      piece = "";
    }
    piece = piece === "" ? line : `${piece}\n${line}`;
  }
  return piece === "" ? pieces : [...pieces, head + piece + tail];
}

function cutLine(line: string, room: number): string[] {
  const parts: string[] = [];
  let rest = line;
  while (rest.length > room) {
    const space = rest.lastIndexOf(" ", room);
    const at = space > room / 2 ? space : room;
    parts.push(rest.slice(0, at));
    rest = rest.slice(at).trimStart();
  }
  return [...parts, rest];
}
