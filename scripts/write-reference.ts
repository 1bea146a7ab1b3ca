// Writes docs/reference/cli.md and docs/reference/config.md from the definitions they describe.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { cliPage } from "./cli-page.ts";
import { configPage } from "./config-page.ts";

const pathOf = (page: string): string => fileURLToPath(new URL(`../docs/reference/${page}`, import.meta.url));
writeFileSync(pathOf("cli.md"), cliPage());
writeFileSync(pathOf("config.md"), configPage());
