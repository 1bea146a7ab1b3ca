// The connection to PostgreSQL: a pool with limits on everything, the schema's name in every statement, transactions.
import pg from "pg";
import { fail } from "../domain/errors.ts";
import { rowTypes } from "./column-types.ts";
import { isConnectionLost } from "./driver-errors.ts";
import { leaveBehind } from "./farewell.ts";
import { isForeignPreparedStatement, isStalePlan, isStartupParameterRefused } from "./prepared.ts";
import { checkSchemaName, schemaRewriter } from "./schema-name.ts";

/** A value that the driver can send as a parameter. Objects become JSON; undefined becomes null. */
export type SqlValue = unknown;

export interface Queryable {
  /**
   * Runs one statement and returns its rows; int8 columns are numbers, timestamptz are Dates, numeric stay strings.
   * `longhaul.` in the text becomes the configured schema. With `name` (at most 63 bytes, one name for one text) the
   * statement is prepared once per connection. Throws the driver's error as it is: see isConnectionLost and isRetryable.
   */
  query<Row = Record<string, unknown>>(text: string, values?: readonly SqlValue[], name?: string): Promise<Row[]>;
}

export interface Transaction extends Queryable {
  /** The driver's connection, for SQL of the user's own inside this transaction. */
  readonly client: pg.PoolClient;
}

export interface Database extends Queryable {
  /** The schema in which everything of Longhaul lives. */
  readonly schema: string;
  readonly pool: pg.Pool;
  /** How long whoever waits longest for a connection has waited, in milliseconds; 0 when nobody does. */
  readonly poolWaitMs: number;
  /** The text with `longhaul.` replaced by the quoted schema. */
  rewrite(text: string): string;
  /**
   * Runs `work` between BEGIN and COMMIT on one connection, and ROLLBACK if it throws. An error of COMMIT itself for which
   * isConnectionLost holds means that the outcome is unknown. Throws TRANSACTION_ABORTED if `work` hid a failed statement.
   */
  transaction<Result>(work: (transaction: Transaction) => Promise<Result>): Promise<Result>;
  /** Closes the pool after the statements under way. May be called more than once. */
  end(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  /** Default "longhaul". */
  readonly schema?: string | undefined;
  /** Most connections of this pool; default 10. */
  readonly max?: number | undefined;
  /** Shown in pg_stat_activity; default "longhaul". */
  readonly applicationName?: string | undefined;
  /** False where a pooler does not support prepared statements; default true, and turned off by itself when one refuses. */
  readonly prepare?: boolean | undefined;
  /** Most time of one statement on the server; default 6,000 ms, below the lease of 10 s. */
  readonly statementTimeoutMs?: number | undefined;
  /** Told of an error on an idle connection; the pool has already dropped that connection. Default: nothing. */
  readonly onIdleError?: ((error: Error) => void) | undefined;
}

const LOCK_TIMEOUT_MS = 2_000;
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 6_000;
const CONNECT_TIMEOUT_MS = 5_000;
/**
 * Connections that are kept while nothing happens: one that must be opened, and makes its plans anew, costs the next run tens of
 * milliseconds. One sends a statement, the other what follows from it meanwhile.
 */
const KEPT = 2;
/** How much longer than the server the driver waits, so that the server's own, clearer error comes first. */
const DRIVER_GRACE_MS = 2_000;

/**
 * Opens a pool; connections are made when first needed. Limits travel as start-up parameters, so that nothing depends on
 * session state; a pooler that refuses those gets them as SET LOCAL in every transaction instead.
 * Throws SCHEMA_NAME_INVALID.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const schema = checkSchemaName(options.schema ?? "longhaul");
  const statementTimeoutMs = options.statementTimeoutMs ?? 6_000;
  const limits = {
    statement_timeout: statementTimeoutMs,
    lock_timeout: LOCK_TIMEOUT_MS,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
  };
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.max ?? 10,
    min: KEPT,
    application_name: options.applicationName ?? "longhaul",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: statementTimeoutMs + DRIVER_GRACE_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5_000,
    types: rowTypes,
    ...limits,
  });
  pool.on("error", options.onIdleError ?? (() => undefined));
  // A connection that dies between two statements of a transaction says so by an event, which unheard ends the process;
  // the next statement on it fails in any case.
  pool.on("connect", (client) => client.on("error", () => undefined));
  return new PooledDatabase(schema, pool, limits, options.prepare ?? true);
}

type Limits = Readonly<Record<string, number>>;

class PooledDatabase implements Database {
  readonly schema: string;
  readonly pool: pg.Pool;
  readonly rewrite: (text: string) => string;
  readonly #limits: Limits;
  #begin = "begin";
  #prepare: boolean;
  #ended: Promise<void> | undefined;
  /** When those who wait for a connection began to, the oldest first. */
  readonly #waiters = new Set<{ readonly sinceMs: number }>();
  /** Those whose connection has not been closed by the server. */
  readonly #clients = new Set<pg.Client>();

  constructor(schema: string, pool: pg.Pool, limits: Limits, prepare: boolean) {
    this.schema = schema;
    this.pool = pool;
    this.rewrite = schemaRewriter(schema);
    this.#limits = limits;
    this.#prepare = prepare;
    pool.on("connect", (client) => {
      this.#clients.add(client);
      client.once("end", () => this.#clients.delete(client));
    });
  }

  get poolWaitMs(): number {
    const [oldest] = this.#waiters;
    return oldest === undefined ? 0 : performance.now() - oldest.sinceMs;
  }

  async query<Row>(text: string, values?: readonly SqlValue[], name?: string): Promise<Row[]> {
    try {
      return await this.#queryOnce<Row>(text, values, name);
    } catch (error) {
      // In both cases the server refused before running anything, so once more is safe.
      if (isForeignPreparedStatement(error)) this.#prepare = false;
      else if (!isStalePlan(error)) throw error;
      return await this.#queryOnce<Row>(text, values, name);
    }
  }

  async transaction<Result>(work: (transaction: Transaction) => Promise<Result>): Promise<Result> {
    const client = await this.#connect();
    let broken: unknown;
    try {
      await client.query(this.#begin);
      const result = await work({ client, query: (text, values, name) => this.#run(client, text, values, name) });
      const { command } = await client.query("commit");
      if (command === "ROLLBACK") throw fail("TRANSACTION_ABORTED");
      return result;
    } catch (error) {
      if (isForeignPreparedStatement(error)) this.#prepare = false;
      broken = spoilsConnection(error) ? error : await rollbackFailure(client);
      throw error;
    } finally {
      client.release(broken !== undefined);
    }
  }

  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    await this.pool.end();
    for (const client of this.#clients) leaveBehind(client);
  }

  async #queryOnce<Row>(text: string, values?: readonly SqlValue[], name?: string): Promise<Row[]> {
    const client = await this.#connect();
    let broken = false;
    try {
      return await this.#run<Row>(client, text, values, name);
    } catch (error) {
      broken = spoilsConnection(error);
      throw error;
    } finally {
      client.release(broken);
    }
  }

  async #run<Row>(client: pg.PoolClient, text: string, values?: readonly SqlValue[], name?: string): Promise<Row[]> {
    const statement: pg.QueryConfig = { text: this.rewrite(text) };
    if (values !== undefined) statement.values = values as unknown[];
    if (name !== undefined && this.#prepare) statement.name = name;
    const result = await client.query(statement);
    return result.rows as Row[];
  }

  async #connect(): Promise<pg.PoolClient> {
    const waiter = { sinceMs: performance.now() };
    this.#waiters.add(waiter);
    try {
      return await this.#fromPool();
    } finally {
      this.#waiters.delete(waiter);
    }
  }

  async #fromPool(): Promise<pg.PoolClient> {
    try {
      return await this.pool.connect();
    } catch (error) {
      if (!isStartupParameterRefused(error)) throw error;
      if (this.#begin === "begin") this.#sendLimitsInTransactions();
      return await this.pool.connect();
    }
  }

  /** Behind a pooler that tracks no limits: connect without them, and set them in each transaction. */
  #sendLimitsInTransactions(): void {
    const locals = Object.entries(this.#limits).map(([setting, limitMs]) => `set local ${setting} = ${limitMs}`);
    this.#begin = ["begin", ...locals].join("; ");
    for (const setting of Object.keys(this.#limits)) Reflect.deleteProperty(this.pool.options, setting);
  }
}

/** A connection whose state is unknown, or whose prepared statements are stale, must not go back into the pool. */
function spoilsConnection(error: unknown): boolean {
  return isConnectionLost(error) || isStalePlan(error) || isForeignPreparedStatement(error);
}

async function rollbackFailure(client: pg.PoolClient): Promise<unknown> {
  try {
    await client.query("rollback");
    return undefined;
  } catch (error) {
    return error;
  }
}
