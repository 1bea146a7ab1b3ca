// One PostgreSQL for the whole test run; every test file clones its own database from it.
import { announce, startTestPostgres } from "./postgres.ts";

/** Called by vitest before the first test file; the function it returns runs after the last one. */
export default async function setup(): Promise<() => Promise<void>> {
  const server = await startTestPostgres();
  announce(server);
  return () => server.stop();
}
