// The last line of a terminal, redrawn while something is under way. Elsewhere there is none.

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const REDRAW_MS = 80;
const CLEAR = "\r\u001b[2K";
// biome-ignore lint/suspicious/noControlCharactersInRegex: colours are made of control characters
const COLOURS = /\u001b\[\d+m/g;

export interface LiveLine {
  /** What is under way: redrawn until the next call. Null: nothing. */
  show(draw: ((frame: string, elapsedMs: number) => string) | null): void;
  /** Writes whole lines above it. */
  print(text: string): void;
}

export function liveLine(stream: NodeJS.WriteStream): LiveLine {
  if (stream.isTTY !== true) return { show: () => undefined, print: (text) => void stream.write(text) };
  let draw: Parameters<LiveLine["show"]>[0] = null;
  let timer: NodeJS.Timeout | undefined;
  let sinceMs = 0;
  let frame = 0;
  const redraw = (): void => {
    if (draw === null) return;
    const text = draw(FRAMES[frame % FRAMES.length] ?? "", performance.now() - sinceMs);
    frame += 1;
    // A line that is longer than the terminal would wrap, and could not be cleared.
    const fits = text.replaceAll(COLOURS, "").length < (stream.columns ?? 80);
    stream.write(CLEAR + (fits ? text : text.replaceAll(COLOURS, "").slice(0, (stream.columns ?? 80) - 1)));
  };
  return {
    show: (next) => {
      if (draw !== null) stream.write(CLEAR);
      draw = next;
      sinceMs = performance.now();
      clearInterval(timer);
      if (draw === null) return;
      timer = setInterval(redraw, REDRAW_MS);
      redraw();
    },
    print: (text) => {
      if (draw !== null) stream.write(CLEAR);
      stream.write(text);
      redraw();
    },
  };
}
