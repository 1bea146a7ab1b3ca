// An installation's verbs behind which the connection can be exchanged while a server goes on using them.
import type { Longhaul } from "../runtime/api.ts";

export interface Switchable {
  /** Gives every call to the connection of the moment. */
  readonly longhaul: Longhaul;
  /** The connection that was in use until now is returned: close it. */
  exchange(next: Longhaul): Longhaul;
}

export function switchable(first: Longhaul): Switchable {
  let current = first;
  const longhaul = new Proxy(first, {
    get: (_, name) => {
      const value: unknown = Reflect.get(current, name, current);
      return typeof value === "function" ? value.bind(current) : value;
    },
  });
  return {
    longhaul,
    exchange: (next) => {
      const before = current;
      current = next;
      return before;
    },
  };
}
