// How a step is called within its run: the branches it lies in, its name, what tells it from others of that name, and which of them it is.

/** Names are joined by characters that are escaped inside of them, so that no two places share a key. */
export function escapeStepName(name: string): string {
  return name.replace(/[%/#@]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
}

/** `name`, or `name@mark` for a step that is told apart by what it is about and not by the order in which it is asked for. */
export function markedName(name: string, mark: string | undefined): string {
  return mark === undefined ? escapeStepName(name) : `${escapeStepName(name)}@${escapeStepName(mark)}`;
}

export interface StepKeyParts {
  /** As the agent's code calls it: `model smart`. */
  readonly name: string;
  /** A tool call's id, a hash of what a model is asked; null where the order tells. */
  readonly mark: string | null;
}

const LAST = /^(?:.*\/)?([^/@#]+)(?:@([^/@#]*))?#\d+$/;

/** What a key says about its step; a key of another form is a name. */
export function readStepKey(key: string): StepKeyParts {
  const [, name, mark] = LAST.exec(key) ?? [];
  if (name === undefined) return { name: key, mark: null };
  return { name: unescapeName(name), mark: mark === undefined ? null : unescapeName(mark) };
}

function unescapeName(text: string): string {
  return text.replace(/%(25|2f|23|40)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
