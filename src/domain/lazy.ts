// What is loaded or made when it is first asked for, once.

/** Asks `make` once; one that failed is asked again. An `import()` by itself looks its module up anew each time. */
export function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
