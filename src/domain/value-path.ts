// Where inside a value something is, in words: `$.messages[3].at`.
import { clip } from "./text.ts";

/** Property names and element numbers, from the outermost inwards. Entry n of a Map is [n][0] (key) and [n][1] (value). */
export type Path = (string | number)[];

const PATH_CHARS_MAX = 300;
const SEGMENT_CHARS_MAX = 60;

/** The first `depth` segments as text of bounded length, with nothing in it that a log or a terminal would trip over. */
export function pathText(path: Path, depth: number): string {
  const text = `$${path.slice(0, depth).map(segmentText).join("")}`;
  return clip(text, PATH_CHARS_MAX);
}

function segmentText(segment: string | number): string {
  if (typeof segment === "number") return `[${segment}]`;
  const key = clip(segment, SEGMENT_CHARS_MAX);
  return /^[\p{ID_Start}_][\p{ID_Continue}]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
