// A worker in a process of its own. Arguments: a JSON object of url, build, the module with the agents, worker
// settings, and the gateway's.
import { pathToFileURL } from "node:url";
import { type AnyAgent, connect } from "../../src/index.ts";

const { url, build, module, settings, gateway } = JSON.parse(process.argv[2] ?? "{}");
const { agents } = (await import(pathToFileURL(module).href)) as { agents: AnyAgent[] };
const longhaul = await connect({ url, build, agents, worker: settings, gateway, migrate: false, log: () => undefined });
process.stdout.write(`${longhaul.workerId}\n`);
process.stdin.resume();
const close = (): void => void longhaul.close().then(() => process.exit(0));
process.stdin.once("end", close);
process.once("SIGTERM", close);
if (settings.onlyRun !== undefined) void longhaul.untilIdle().then(close);
