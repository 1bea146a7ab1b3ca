// `gateway` in longhaul.config.ts: taken as it is, and refused with the file's name.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loadConfig } from "../../src/runtime/load-config.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "longhaul-gateway-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function load(gateway: string) {
  const file = join(folder, `${Math.random()}.config.mjs`);
  writeFileSync(file, `export default { gateway: ${gateway} };`);
  return { file, loaded: await loadConfig({ cwd: folder, file }).catch((error: Error) => error) };
}

test("is a known section", async () => {
  const { loaded } = await load(
    '{ models: { smart: { try: ["openai/gpt-5"], timeout: "2m" }, auto: { route: () => "smart" } } }',
  );
  expect(loaded).toMatchObject({ config: { gateway: { models: { smart: { timeout: "2m" } } } } });
});

test("is checked when the file is read", async () => {
  const { file, loaded } = await load('{ providers: { openai: { limits: { "*": { rpm: 0 } } } } }');
  expect(loaded).toMatchObject({ code: "CONFIG_INVALID" });
  expect((loaded as Error).message).toContain(
    `gateway.providers.openai.limits["*"].rpm in ${file}: a limit of 0 never admits a call`,
  );
});
