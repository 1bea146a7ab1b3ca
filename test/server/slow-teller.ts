// An agent for worker processes: counts slowly, in a word of its own process, so that one can tell which of them is heard.
import { agent } from "../../src/index.ts";

export const agents = [
  agent({
    name: "slow-teller",
    async run(ctx) {
      const text = await ctx.step("count", async ({ stream }) => {
        let said = "";
        for (let i = 0; i < 60; i++) {
          const word = `${process.pid}-${i} `;
          stream.write(word);
          said += word;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
        return said;
      });
      return { text };
    },
  }),
];
