// DBOS Transact on PostgreSQL, as its documentation shows it: workflows started through a queue.
import { readFileSync } from "node:fs";
import { DBOS } from "@dbos-inc/dbos-sdk";

export async function open(url, stage, _slots) {
  DBOS.setConfig({
    name: "bench",
    systemDatabaseUrl: url,
    logLevel: "error",
    applicationVersion: "1",
    executorID: "bench",
  });
  const program = DBOS.registerWorkflow(
    (work) => stage.perform(work, (number) => DBOS.runStep(async () => 1, { name: `step-${number}` })),
    { name: "program" },
  );
  await DBOS.launch();
  await DBOS.registerQueue("programs");
  return {
    version: versionOf("@dbos-inc/dbos-sdk"),
    // Loops are started directly: its queues would only make the runs arrive later, and all begin together anyhow.
    submit: (work) => DBOS.startWorkflow(program, work.kind === "start" ? { queueName: "programs" } : {})(work),
    startHere: (work) => DBOS.startWorkflow(program)(work),
    close: () => DBOS.shutdown(),
  };
}

function versionOf(name) {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8")).version;
}
