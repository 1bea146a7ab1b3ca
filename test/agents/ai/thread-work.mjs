// What the tests run in a thread of the pool.
import { isMainThread } from "node:worker_threads";

export function square({ n }) {
  return { square: n * n, main: isMainThread };
}
