// One PostgreSQL for the whole test run; every test file clones its own database from it.
import { buildPrograms } from "./built.ts";
import { announce, startTestPostgres, useTestPostgres } from "./postgres.ts";

/**
 * Called by vitest before the first test file; the function it returns runs after the last one. With the environment variable
 * LONGHAUL_TEST_DATABASE_URL the suite runs on that server instead of an embedded one.
 */
export default async function setup(): Promise<() => Promise<void>> {
  await buildPrograms();
  const given = process.env["LONGHAUL_TEST_DATABASE_URL"];
  if (given !== undefined && given !== "") {
    announce(await useTestPostgres(given));
    return () => Promise.resolve();
  }
  const server = await startTestPostgres();
  announce(server);
  return () => server.stop();
}
