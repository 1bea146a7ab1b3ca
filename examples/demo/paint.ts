// Colours for a terminal, and none anywhere else.

export type Colour = "bold" | "dim" | "red" | "green" | "yellow" | "blue" | "magenta" | "cyan";

const CODES: Readonly<Record<Colour, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
};

export type Paint = (colour: Colour | readonly Colour[], text: string) => string;

export function painter(colourful: boolean): Paint {
  if (!colourful) return (_, text) => text;
  return (colours, text) =>
    [colours].flat().reduce((painted, colour) => {
      const [on, off] = CODES[colour as Colour];
      return `\u001b[${on}m${painted}\u001b[${off}m`;
    }, text);
}

/** Only on a terminal that can show them, and not when NO_COLOR is set. */
export function isColourful(
  stream: { readonly isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  return stream.isTTY === true && env.TERM !== "dumb" && (env.NO_COLOR ?? "") === "";
}
