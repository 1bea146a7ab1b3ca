// Text in lines that fit; code stays as it is.

/** The lines of a text, prose broken between words so that none is longer than `width`. Lines in ``` fences are not prose. */
export function wrapped(text: string, width: number): string[] {
  let code = false;
  return text.split("\n").flatMap((line) => {
    const fence = line.startsWith("```");
    if (fence) code = !code;
    return code || fence ? [line] : broken(line, width);
  });
}

function broken(line: string, width: number): string[] {
  const lines: string[] = [];
  let open = "";
  for (const word of line.split(" ")) {
    if (open !== "" && open.length + 1 + word.length > width) {
      lines.push(open);
      open = word;
    } else {
      open = open === "" ? word : `${open} ${word}`;
    }
  }
  return [...lines, open];
}
