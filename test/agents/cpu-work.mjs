// What the test of ctx.cpu runs on another thread.
import { threadId } from "node:worker_threads";

export default (numbers) => numbers.reduce((sum, n) => sum + n, 0);

export const thread = () => threadId;

export const broken = () => {
  throw new Error("the thread says no");
};
