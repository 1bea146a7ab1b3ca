// Standard output as the renderer sees it: terminal or pipe, colours, width, and a reader that may go away.
import type { WriteStream } from "node:tty";

export interface Output {
  /** True with `--json`. */
  readonly json: boolean;
  /** True when standard output is a terminal. */
  readonly terminal: boolean;
  readonly color: boolean;
  readonly columns: number;
  /** Resolves when the text has left the process. */
  write(text: string): Promise<void>;
}

/** Colours for a terminal, unless NO_COLOR is set or it cannot show any; FORCE_COLOR overrides. */
export function isColorful(stream: Partial<WriteStream>, env: NodeJS.ProcessEnv = process.env): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== "") return false;
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== "") return env.FORCE_COLOR !== "0";
  return stream.isTTY === true && env.TERM !== "dumb";
}

export function standardOutput(json: boolean): Output {
  const { stdout } = process;
  // `longhaul runs list | head` is no error: the reader has what it wanted.
  stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  return {
    json,
    terminal: stdout.isTTY === true,
    color: isColorful(stdout),
    columns: stdout.columns ?? 80,
    write: (text) =>
      new Promise((resolve, reject) => {
        stdout.write(text, (error) => (error ? reject(error) : resolve()));
      }),
  };
}
