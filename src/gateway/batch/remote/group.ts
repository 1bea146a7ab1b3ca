// Which requests may go into one batch of a provider, as a batcher's name: same provider, model and endpoint.

export interface Group {
  readonly provider: string;
  readonly model: string;
  /** Below the provider's address: `/chat/completions`. */
  readonly path: string;
}

export function groupName({ provider, model, path }: Group): string {
  return `@${JSON.stringify([provider, model, path])}`;
}

/** Null for the name of anything else. */
export function readGroup(batcher: string): Group | null {
  if (!batcher.startsWith("@")) return null;
  const [provider, model, path] = JSON.parse(batcher.slice(1)) as [string, string, string];
  return { provider, model, path };
}
