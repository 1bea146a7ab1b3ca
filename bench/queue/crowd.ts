// Many that do the same at once, and tenants for them.

/** Runs `work` in as many loops side by side. */
export async function together(loops: number, work: (loop: number) => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: loops }, (_, loop) => work(loop)));
}

/** Seconds that `work` takes. */
export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return (performance.now() - startedMs) / 1_000;
}

export function tenantNames(count: number, prefix = "tenant"): string[] {
  return Array.from({ length: count }, (_, place) => `${prefix}-${place}`);
}

/** `count` names, each tenant as often as any other, in turns. */
export function spread(count: number, tenants: readonly string[], from = 0): string[] {
  return Array.from({ length: count }, (_, place) => tenants[(from + place) % tenants.length] as string);
}
