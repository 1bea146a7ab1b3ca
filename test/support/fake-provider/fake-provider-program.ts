// A fake provider in a process of its own. Argument: its settings as JSON. Says where it is in one line of JSON, and lives until
// it is told to end, or until its standard input ends if the settings say `endsWithInput`.
import { startFakeProvider } from "./fake-provider.ts";

const { endsWithInput = false, ...settings } = JSON.parse(process.argv[2] ?? "{}");
const fake = await startFakeProvider(settings);
const { port, origin, urls, key } = fake;
process.stdout.write(`${JSON.stringify({ fake: true, port, origin, urls, key, pid: process.pid })}\n`);
const end = (): void => void fake.close().then(() => process.exit(0));
process.once("SIGTERM", end);
process.once("SIGINT", end);
if (endsWithInput === true) process.stdin.resume().once("end", end);
