// How people see a run's events: a line each, and between them what steps write, as it comes.
import type { RunEvent } from "../domain/entry.ts";
import type { TokenEvent } from "../domain/tokens.ts";
import { type Block, line, text, toned } from "./blocks.ts";
import { brief, clock } from "./show.ts";

/** One view for the events of one stream: it knows whose words are under way. */
export function eventViewer(): (event: RunEvent | TokenEvent) => Block[] {
  let speaker: string | null = null;
  const newLine = (): Block[] => {
    const wasOpen = speaker !== null;
    speaker = null;
    return wasOpen ? [line()] : [];
  };
  return (event) => {
    if (event.kind !== "tokens") return [...newLine(), viewEvent(event)];
    if (event.text === "" && !event.reset) return [];
    const goesOn = event.key === speaker && !event.reset;
    const blocks = goesOn ? [] : [...newLine(), text(toned("dim", `${event.key}: `))];
    speaker = event.key;
    return [...blocks, text(event.text)];
  };
}

function viewEvent(event: RunEvent): Block {
  const what = event.key === null ? event.kind : `${event.kind} ${event.key}`;
  const tone =
    event.kind === "finished" ? "strong" : event.kind === "attempt" || event.kind === "lost" ? "warn" : "plain";
  return line(
    toned("dim", `${clock(event.at)} ${String(event.seq).padStart(4)}`),
    toned(tone, what),
    toned("dim", brief(event.data)),
  );
}
