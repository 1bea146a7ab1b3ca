// Which step's body is running here, so that a verb called inside of it can be told apart.
import { AsyncLocalStorage } from "node:async_hooks";

export const insideStep = new AsyncLocalStorage<{ readonly key: string; readonly attempt: number }>();
