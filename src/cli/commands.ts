// Every command of the program, in the order of `longhaul --help`.
import type { AnyCommand } from "./command.ts";
import { budgetCommands } from "./commands-budgets.ts";
import { costCommands } from "./commands-costs.ts";
import { deadCommands } from "./commands-dead.ts";
import { installationCommands } from "./commands-installation.ts";
import { keyCommands } from "./commands-keys.ts";
import { peopleCommands } from "./commands-people.ts";
import { planCommands } from "./commands-plan.ts";
import { runCommands } from "./commands-runs.ts";
import { serveCommands } from "./commands-serve.ts";
import { tenantCommands } from "./commands-tenants.ts";

export const commands: readonly AnyCommand[] = [
  ...serveCommands,
  ...runCommands,
  ...deadCommands,
  ...peopleCommands,
  ...keyCommands,
  ...tenantCommands,
  ...budgetCommands,
  ...costCommands,
  ...installationCommands,
  ...planCommands,
];
