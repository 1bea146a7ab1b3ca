// Longhaul, as a user would run it: one process with a worker.
import { agent, connect } from "../../src/index.ts";
import type { OpenSystem, Work } from "./system.ts";

export const open: OpenSystem = async (url, stage, slots) => {
  const program = agent({
    name: "program",
    run: (ctx, input) => stage.perform(input as Work, () => ctx.step("step", () => 1)),
  });
  const longhaul = await connect({ url, agents: [program], worker: { slots } });
  return {
    version: "this one",
    submit: (work) => longhaul.submit(program, work),
    close: () => longhaul.close(),
  };
};
