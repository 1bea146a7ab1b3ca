// The invariants that a database can be asked about: sql/invariants.sql, read and run in one snapshot.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Database } from "./database.ts";

export interface Invariant {
  /** Number in docs/invariants.md: `I23`. */
  readonly invariant: string;
  /** Unique among all. */
  readonly name: string;
  /** What holds, in one sentence. */
  readonly sentence: string;
  /** Returns a row per place where it does not hold. */
  readonly sql: string;
}

/** An invariant that does not hold. */
export interface Violation {
  readonly invariant: string;
  readonly name: string;
  readonly sentence: string;
  /** Where it is broken: the first hundred rows. */
  readonly rows: readonly Record<string, unknown>[];
}

/** Where the package keeps the file; the same way from src/store and from dist/store. */
const FILE = fileURLToPath(new URL("../../sql/invariants.sql", import.meta.url));
const HEADER = /^-- (I\d+) ([a-z0-9-]+): (.+)$/;
const ROWS_MAX = 100;
/** Some of the queries read the whole journal. */
const TIMEOUT_MS = 300_000;
/** How much longer than the server the driver waits, so that the server's own, clearer error comes first. */
const DRIVER_GRACE_MS = 2_000;

/** All that the file names, in its order. */
export function readInvariants(file: string = FILE): Invariant[] {
  const invariants: { invariant: string; name: string; sentence: string; lines: string[] }[] = [];
  for (const line of readFileSync(file, "utf8").split(/\r?\n/)) {
    const [, invariant, name, sentence] = HEADER.exec(line) ?? [];
    if (invariant !== undefined && name !== undefined && sentence !== undefined) {
      invariants.push({ invariant, name, sentence, lines: [] });
    } else if (!line.startsWith("--")) invariants.at(-1)?.lines.push(line);
  }
  return invariants.map(({ lines, ...rest }) => ({ ...rest, sql: lines.join("\n").trim().replace(/;$/, "") }));
}

/**
 * Asks for every invariant and answers those that are broken: an empty list is good news. All see the same committed state, and
 * nothing is locked. `timeoutMs` bounds each query; default five minutes. Throws the driver's errors.
 */
export function checkInvariants(db: Database, options: { readonly timeoutMs?: number } = {}): Promise<Violation[]> {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const invariants = readInvariants();
  return db.transaction(async (tx) => {
    await tx.query("set transaction isolation level repeatable read, read only");
    await tx.query(`set local statement_timeout = ${timeoutMs}`);
    const violations: Violation[] = [];
    for (const { invariant, name, sentence, sql } of invariants) {
      const text = db.rewrite(`select * from (\n${sql}\n) broken limit ${ROWS_MAX}`);
      const statement = { text, query_timeout: timeoutMs + DRIVER_GRACE_MS };
      const { rows } = await tx.client.query(statement);
      if (rows.length > 0) violations.push({ invariant, name, sentence, rows });
    }
    return violations;
  });
}
