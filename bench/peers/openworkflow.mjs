// OpenWorkflow on PostgreSQL, as its documentation shows it, with room for all runs at once.
import { readFileSync } from "node:fs";
import { OpenWorkflow } from "openworkflow";
import { BackendPostgres } from "openworkflow/postgres";

export async function open(url, stage, slots) {
  const backend = await BackendPostgres.connect(url);
  const client = new OpenWorkflow({ backend });
  const program = client.defineWorkflow({ name: "program" }, ({ input, step }) =>
    stage.perform(input, (number) => step.run({ name: `step-${number}` }, async () => 1)),
  );
  const worker = client.newWorker({ concurrency: slots });
  await worker.start();
  return {
    version: versionOf("openworkflow"),
    submit: (work) => program.run(work),
    close: async () => {
      await worker.stop();
      await backend.stop();
    },
  };
}

function versionOf(name) {
  return JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url), "utf8")).version;
}
