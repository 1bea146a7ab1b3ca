// What a process with nothing to do asks of the database.
import { agent, connect } from "../../src/index.ts";
import type { Claim } from "../lab/claim.ts";
import { pause } from "../lab/until.ts";

export const idle: Claim = {
  name: "idle",
  sentence: "An idle worker process sends at most one statement per second",
  async measure(lab) {
    const seconds = lab.size(20, 3);
    const database = await lab.database();
    const longhaul = await connect({ url: database.url, agents: [agent({ name: "idle", run: () => 1 })] });
    await longhaul.run("idle");
    await pause(2_000);
    lab.say(`counting for ${seconds} s`);
    const before = await lab.counters(database.url);
    await pause(seconds * 1_000);
    const after = await lab.counters(database.url);
    await longhaul.close();
    await database.drop();
    return [
      {
        what: "statements per second, idle worker",
        value: (after.statements - before.statements) / seconds,
        unit: "1/s",
        // Ticks come every second with jitter: a window may hold one more.
        bar: { of: "value", at: "most", limit: 1 + 1 / seconds },
      },
    ];
  },
};
