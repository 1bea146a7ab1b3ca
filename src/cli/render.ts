// The one renderer: a table on a terminal, JSON for a program, one JSON line per item for a stream.
import { toJson } from "../server/json.ts";
import type { AnyCommand } from "./command.ts";
import { layOut } from "./layout.ts";
import type { Output } from "./terminal.ts";

/** The cursor home, and everything below it gone. */
const CLEAR = "\u001b[H\u001b[J";

/** Prints what a command gave, item by item if it is a stream. Returns the last value, for the exit code. */
export async function render(command: AnyCommand, data: unknown, output: Output): Promise<unknown> {
  const forPeople = !output.json && output.terminal;
  const view = forPeople ? await command.view() : null;
  if (isStream(data)) {
    const clear = command.live ? CLEAR : "";
    let last: unknown;
    for await (const item of data) {
      last = item;
      await output.write(view === null ? `${JSON.stringify(toJson(item))}\n` : clear + layOut(view(item), output));
    }
    return last;
  }
  // A text, such as SQL, is meant for other programs as it is.
  if (typeof data === "string" && !output.json) await output.write(`${data.trimEnd()}\n`);
  else if (view === null) await output.write(`${JSON.stringify(toJson(data), null, 2)}\n`);
  else await output.write(layOut(view(data), output));
  return data;
}

function isStream(data: unknown): data is AsyncIterable<unknown> {
  return typeof data === "object" && data !== null && Symbol.asyncIterator in data;
}
