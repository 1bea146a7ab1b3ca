// The commands for API keys: who may reach the server, as which tenant.
import { command } from "./command.ts";
import { by, databaseSettings } from "./commands-shared.ts";

const group = "Keys";
const settings = databaseSettings;
const key = { summary: "Id of the key, with or without `lh_`" } as const;
const A_KEY = "Q7v0bC2xYz1";

export const keyCommands = [
  command({
    path: "keys create",
    group,
    settings: [...databaseSettings, "tenant", "logLevel"],
    summary: "Make an API key, and show it this once",
    about:
      "From the first key on, servers ask everybody for one. The key is shown now and never again: only its hash is kept. An embedded database that does not run is started for the purpose.",
    flags: {
      plan: { kind: "text", placeholder: "name", summary: "Puts the tenant on this plan (default: its plan stays)" },
      name: { kind: "text", summary: "What it is for; recorded as the author of answers that are given with it" },
      scopes: {
        kind: "list",
        placeholder: "scopes",
        summary:
          "What it may do: runs:read, runs:write, approvals, admin, or read and write for the usual sets (default: write)",
      },
      expires: {
        kind: "text",
        placeholder: "when",
        summary: 'After a duration such as "90 days", or on a day such as 2030-01-31 (default: never)',
      },
      by,
    },
    examples: [
      { says: "Everything of one tenant", line: "longhaul keys create --tenant acme --name ci" },
      {
        says: "Only to look, for a while",
        line: 'longhaul keys create --tenant acme --scopes read --expires "90 days"',
      },
      { says: "For who runs the installation", line: "longhaul keys create --scopes admin --name ops" },
    ],
    load: async () => (await import("./keys.ts")).createKey,
    view: async () => (await import("./view-keys.ts")).viewNewKey,
  }),
  command({
    path: "keys list",
    group,
    settings: [...databaseSettings, "tenant"],
    summary: "List the keys of all tenants, or of one",
    flags: { limit: { kind: "count", min: 1, max: 200, summary: "At most this many (default: 50)" } },
    examples: [
      { says: "All, the newest first", line: "longhaul keys list" },
      { says: "Of one tenant", line: "longhaul keys list --tenant acme" },
    ],
    load: async () => (await import("./keys.ts")).listKeys,
    view: async () => (await import("./view-keys.ts")).viewKeys,
  }),
  command({
    path: "keys rotate",
    group,
    settings,
    summary: "Make a new key in the place of one, which goes on working for a while",
    args: { key },
    flags: {
      grace: {
        kind: "text",
        placeholder: "duration",
        summary: 'How long the old one works, such as "1 day" or "0 s" (default: 1 hour)',
      },
      by,
    },
    examples: [
      { says: "A day to bring the new one to everybody", line: `longhaul keys rotate ${A_KEY} --grace "1 day"` },
    ],
    load: async () => (await import("./keys.ts")).rotateKey,
    view: async () => (await import("./view-keys.ts")).viewNewKey,
  }),
  command({
    path: "keys revoke",
    group,
    settings,
    summary: "End a key: within a second it opens nothing any more",
    args: { key },
    flags: { by },
    examples: [{ says: "It was lost", line: `longhaul keys revoke ${A_KEY}` }],
    load: async () => (await import("./keys.ts")).revokeKey,
    view: async () => (await import("./view-keys.ts")).viewKey,
  }),
];
