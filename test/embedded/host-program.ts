// Owns the embedded server of the data directory in its first argument until its input ends.
import { pathToFileURL } from "node:url";

const [dataDir = "", module = ""] = process.argv.slice(2);
const { startEmbedded } = (await import(pathToFileURL(module).href)) as typeof import("../../src/embedded/index.ts");
const { url, port, pid, adopted, stop } = await startEmbedded({ dataDir });
process.stdout.write(`${JSON.stringify({ url, port, pid, adopted })}\n`);
process.stdin.resume();
process.stdin.once("end", () => {
  void stop().then(() => process.exit(0));
});
