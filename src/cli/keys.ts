// Commands on API keys. They work on the database itself, also while nothing of the installation runs: the first key comes first.
import type { Longhaul } from "../runtime/api.ts";
import type { KeyView, NewKey } from "../runtime/keys-api.ts";
import type { Context } from "./context.ts";
import { asNotReady, sharedDatabase } from "./installation.ts";
import { whoami } from "./submit.ts";

export interface CreateKeyInput {
  readonly plan?: string | undefined;
  readonly name?: string | undefined;
  readonly scopes?: readonly string[] | undefined;
  readonly expires?: string | undefined;
  readonly by?: string | undefined;
}

/** Before a first server has run there is no schema yet. @throws KEY_INVALID, SCOPE_UNKNOWN, EXPIRY_INVALID, PLAN_UNKNOWN */
export function createKey(input: CreateKeyInput, context: Context): Promise<NewKey> {
  const { plan, name, scopes, expires, by = whoami() } = input;
  return onDatabase(context, { migrate: true }, ({ keys }, { tenant }) =>
    keys.create({
      tenant,
      by,
      ...(plan === undefined ? {} : { plan }),
      ...(name === undefined ? {} : { name }),
      ...(scopes === undefined ? {} : { scopes }),
      ...(expires === undefined ? {} : { expires }),
    }),
  );
}

/** Of all tenants, unless one is named by flag or environment. */
export function listKeys(input: { readonly limit?: number | undefined }, context: Context): Promise<KeyView[]> {
  const { limit } = input;
  return onDatabase(context, { migrate: false }, ({ keys }, { tenant, isTenantNamed }) =>
    keys.list({ ...(isTenantNamed ? { tenant } : {}), ...(limit === undefined ? {} : { limit }) }),
  );
}

export interface RotateKeyInput {
  readonly key: string;
  readonly grace?: string | undefined;
  readonly by?: string | undefined;
}

/** @throws API_KEY_NOT_FOUND, API_KEY_ENDED, DURATION_INVALID */
export function rotateKey({ key, grace, by = whoami() }: RotateKeyInput, context: Context): Promise<NewKey> {
  return onDatabase(context, { migrate: false }, ({ keys }) =>
    keys.rotate(key, { by, ...(grace === undefined ? {} : { grace }) }),
  );
}

/** @throws API_KEY_NOT_FOUND */
export function revokeKey(
  { key, by = whoami() }: { readonly key: string; readonly by?: string | undefined },
  context: Context,
): Promise<KeyView> {
  return onDatabase(context, { migrate: false }, ({ keys }) => keys.revoke(key, { by }));
}

async function onDatabase<Result>(
  context: Context,
  { migrate }: { readonly migrate: boolean },
  work: (longhaul: Longhaul, asked: { readonly tenant: string; readonly isTenantNamed: boolean }) => Promise<Result>,
): Promise<Result> {
  const project = await context.project();
  const log = await context.log(project);
  const { schema, tenant } = project.settings;
  const database = await sharedDatabase(project, log);
  try {
    const { connect } = await import("../runtime/connect.ts");
    const longhaul = await connect({ url: database.url, schema, worker: false, migrate, log });
    try {
      return await work(longhaul, { tenant, isTenantNamed: project.origins.tenant.source !== "default" });
    } catch (error) {
      throw asNotReady(error, schema);
    } finally {
      await longhaul.close();
    }
  } finally {
    await database.stop();
  }
}
