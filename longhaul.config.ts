// What `npm start` serves in this repository: the example agents.
import { defineConfig } from "./src/index.ts";

export default defineConfig({
  agents: ["examples/*/agent.ts"],
});
