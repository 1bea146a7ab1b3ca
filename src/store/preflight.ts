// Checks at start-up that the server keeps what it has acknowledged, and that its clock and limits are as expected.
import type { Database } from "./database.ts";

export interface PreflightCheck {
  /** What was looked at, such as "fsync". */
  readonly check: string;
  readonly ok: boolean;
  /** How much it matters when not ok: an error makes a promise of Longhaul untrue, a warning makes it slower or harder. */
  readonly level: "error" | "warning";
  /** What was found. */
  readonly value: string;
  /** What to do about it; empty when ok. */
  readonly hint: string;
}

const OLDEST_VERSION = 140_000;
const CLOCK_SKEW_MAX_MS = 2_000;

const SELECT_FACTS = `
select current_setting('fsync')                      as fsync,
       current_setting('full_page_writes')           as full_page_writes,
       current_setting('synchronous_commit')         as synchronous_commit,
       current_setting('server_version')             as version,
       current_setting('server_version_num')::int    as version_number,
       current_setting('lock_timeout')               as lock_timeout,
       current_setting('server_encoding')            as encoding,
       pg_is_in_recovery()                           as in_recovery,
       clock_timestamp()                             as now`;

interface Facts {
  readonly fsync: string;
  readonly full_page_writes: string;
  readonly synchronous_commit: string;
  readonly version: string;
  readonly version_number: number;
  readonly lock_timeout: string;
  readonly encoding: string;
  readonly in_recovery: boolean;
  readonly now: Date;
}

/** Looks at the server once, and judges. Never throws for a bad finding; throws the driver's error if there is no answer. */
export async function preflight(db: Database): Promise<PreflightCheck[]> {
  const sentAt = Date.now();
  const [facts] = await db.query<Facts>(SELECT_FACTS);
  const receivedAt = Date.now();
  if (facts === undefined) throw new Error("a select without from gave no row");
  // The server read its clock at some moment between the two: only what lies outside is skew.
  const server = facts.now.getTime();
  const skewMs = Math.max(0, sentAt - server, server - receivedAt);
  return [...durabilityChecks(facts), ...serverChecks(facts), clockCheck(skewMs)];
}

function durabilityChecks(facts: Facts): PreflightCheck[] {
  return [
    error("fsync", facts.fsync === "on", facts.fsync, "Set fsync = on: without it a power cut can destroy every run."),
    error(
      "full_page_writes",
      facts.full_page_writes === "on",
      facts.full_page_writes,
      "Set full_page_writes = on, unless the file system itself prevents torn pages.",
    ),
    error(
      "synchronous_commit",
      facts.synchronous_commit !== "off",
      facts.synchronous_commit,
      "Set synchronous_commit = on for this role or database: while it is off, acknowledged runs can be lost in a crash.",
    ),
  ];
}

function serverChecks(facts: Facts): PreflightCheck[] {
  return [
    error(
      "server version",
      facts.version_number >= OLDEST_VERSION,
      facts.version,
      "Upgrade PostgreSQL to 14 or newer; Longhaul is tested with 18.",
    ),
    error(
      "primary server",
      !facts.in_recovery,
      facts.in_recovery ? "standby" : "primary",
      "Point DATABASE_URL at the primary: a standby takes no writes.",
    ),
    error(
      "encoding",
      facts.encoding === "UTF8",
      facts.encoding,
      "Create the database anew with encoding UTF8: others cannot hold every text of an agent.",
    ),
    warning(
      "lock_timeout",
      facts.lock_timeout !== "0",
      facts.lock_timeout,
      "A pooler dropped our limits. Set them for the role: alter role … set lock_timeout = '2s', statement_timeout likewise.",
    ),
  ];
}

function clockCheck(skewMs: number): PreflightCheck {
  return warning(
    "clock skew",
    skewMs <= CLOCK_SKEW_MAX_MS,
    `${skewMs} ms`,
    "Let both machines take the time from a time server (NTP). Leases are safe: they use the database's clock alone.",
  );
}

function error(check: string, ok: boolean, value: string, hint: string): PreflightCheck {
  return { check, ok, level: "error", value, hint: ok ? "" : hint };
}

function warning(check: string, ok: boolean, value: string, hint: string): PreflightCheck {
  return { check, ok, level: "warning", value, hint: ok ? "" : hint };
}
