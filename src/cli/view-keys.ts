// API keys as people see them: never the secret, except this once.
import type { KeyView, NewKey } from "../runtime/keys-api.ts";
import { type Block, type Cell, fields, line, table, toned } from "./blocks.ts";
import { ago, status, until } from "./show.ts";

export function viewNewKey(key: NewKey): Block[] {
  return [
    ...viewKey(key),
    line(""),
    line(toned("strong", key.token)),
    line(toned("warn", "This is the key. It is not shown again: keep it now.")),
  ];
}

export function viewKey(key: KeyView): Block[] {
  return [
    fields({
      key: key.prefix,
      tenant: key.tenant,
      name: key.name,
      scopes: key.scopes.join(", "),
      state: status(key.state),
      expires: key.expiresAt === null ? null : moment(key.expiresAt),
      revoked: key.revokedAt === null ? null : `${ago(key.revokedAt)}, by ${key.revokedBy}`,
      "replaced by": key.replacedBy,
    }),
  ];
}

export function viewKeys(keys: readonly KeyView[]): Block[] {
  return [
    table(
      keys,
      [
        { title: "key", cell: (one) => one.prefix },
        { title: "tenant", flexible: true, cell: (one) => one.tenant },
        { title: "name", flexible: true, cell: (one) => one.name ?? toned("dim", "-") },
        { title: "scopes", flexible: true, cell: (one) => one.scopes.join(", ") },
        { title: "state", cell: (one) => status(one.state) },
        { title: "made", cell: (one) => ago(one.createdAt) },
        { title: "used", cell: (one) => (one.lastUsedAt === null ? toned("dim", "never") : ago(one.lastUsedAt)) },
        { title: "expires", cell: expiry },
      ],
      "There are no keys, and a server asks for none. Make the first: longhaul keys create --tenant acme",
    ),
  ];
}

function expiry({ expiresAt, replacedBy }: KeyView): Cell {
  const when = expiresAt === null ? toned("dim", "never") : moment(expiresAt);
  return replacedBy === null ? when : toned("warn", `${typeof when === "string" ? when : when.text}, replaced`);
}

/** `in 3 days`, `2 h ago` */
function moment(iso: string): string {
  return Date.parse(iso) > Date.now() ? until(iso) : ago(iso);
}
