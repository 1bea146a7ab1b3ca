// Names with `*` in them: which models a limit means, which steps a rule.

/** True when the name fits the pattern, in which `*` stands for any characters, also none. Letter case counts. */
export function matches(pattern: string, name: string): boolean {
  const parts = pattern.split("*");
  const [head = "", ...rest] = parts;
  const tail = rest.pop();
  if (tail === undefined) return pattern === name;
  if (!name.startsWith(head) || !name.endsWith(tail) || name.length < head.length + tail.length) return false;
  let at = head.length;
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found === -1 || found + part.length > name.length - tail.length) return false;
    at = found + part.length;
  }
  return true;
}

/** Names without `*` first, then the longer patterns: the more is said, the more it means what it says. */
export function bySpecificity(a: string, b: string): number {
  const wild = Number(a.includes("*")) - Number(b.includes("*"));
  return wild || b.length - a.length || (a < b ? -1 : 1);
}
