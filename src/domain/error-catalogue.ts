// Every error code of Longhaul, in alphabetical order: what it means, what to do, and whether trying again can help.

/** What an entry of the catalogue says about its code. */
export interface CatalogueEntry {
  /** HTTP status with which the error leaves the server. */
  readonly status: number;
  /** What went wrong and why; `{name}` is filled from the parameters. */
  readonly message: string;
  /** What to do about it; `{name}` is filled from the parameters. */
  readonly hint: string;
  /** True when the same request may succeed later without being changed. */
  readonly retryable: boolean;
}

/** Code → status, message, hint, retryable. `{name}` stands for a parameter of `fail(code, { name })`. */
export const catalogue = {
  AGENT_INVALID: {
    status: 400,
    message: "Agent {agent} is not usable: {problem}.",
    hint: "Correct its declaration: agent({ name, run, … }).",
    retryable: false,
  },
  AGENT_UNKNOWN: {
    status: 404,
    message: "There is no agent {agent} here.",
    hint: "Known agents: {known}. Check the name, or add the agent to longhaul.config.ts.",
    retryable: false,
  },
  APPROVAL_EXPIRED: {
    status: 410,
    message: "Approval {approval} has expired.",
    hint: "The run went on without an answer; nothing is to be done.",
    retryable: false,
  },
  APPROVAL_GONE: {
    status: 410,
    message: "Approval {approval} no longer applies: its run has ended.",
    hint: "Look at the run to see how it ended.",
    retryable: false,
  },
  APPROVAL_NOT_FOUND: {
    status: 404,
    message: "There is no approval {approval}.",
    hint: "List the pending ones: longhaul approvals list.",
    retryable: false,
  },
  APPROVAL_TAKEN: {
    status: 409,
    message: "Approval {approval} was already answered: {status} by {by}.",
    hint: "The first answer holds. To decide anew, fork the run before the approval.",
    retryable: false,
  },
  CHECKPOINT_IN_PARALLEL: {
    status: 422,
    message: "ctx.checkpoint was called while {pending} is under way in another branch.",
    hint: "Checkpoint only where nothing else of the run is in flight: await the other branches first.",
    retryable: false,
  },
  CHECKPOINT_NOT_RESTORED: {
    status: 422,
    message: "This run stores checkpoints, but asked for {key} before ctx.restored().",
    hint: "Call ctx.restored() before the first step: what came before a checkpoint is not replayed.",
    retryable: false,
  },
  CHILDREN_LIMIT: {
    status: 422,
    message: "Run {run} asked for more children than it may have ({limit}).",
    hint: "Raise limits.children of the agent, or process the items in fewer, larger children.",
    retryable: false,
  },
  CHILD_CANCELLED: {
    status: 422,
    message: "Child {run} ({agent}) was cancelled: {reason}.",
    hint: "Look at it: longhaul runs show {run}.",
    retryable: false,
  },
  CHILD_FAILED: {
    status: 422,
    message: "Child {run} ({agent}) failed: {reason}.",
    hint: "Look at it: longhaul runs show {run}.",
    retryable: false,
  },
  CLOSED: {
    status: 503,
    message: "This Longhaul connection is closed.",
    hint: "Open a new one with connect().",
    retryable: true,
  },
  COMMAND_INVALID: {
    status: 400,
    message: "The command cannot be understood: {problem}.",
    hint: "{fix}",
    retryable: false,
  },
  CONFIG_INVALID: {
    status: 400,
    message: "The configuration is not usable at {place}: {problem}.",
    hint: "{fix}",
    retryable: false,
  },
  CONFIG_NOT_FOUND: {
    status: 404,
    message: "{what}.",
    hint: "{fix}",
    retryable: false,
  },
  DATABASE_UNAVAILABLE: {
    status: 503,
    message: "PostgreSQL cannot be reached: {reason}.",
    hint: "Check that the server runs and that DATABASE_URL is right, then send the request again with the same key.",
    retryable: true,
  },
  DATA_DIR_IN_USE: {
    status: 409,
    message: "The data directory {dataDir} belongs to a running Longhaul process (pid {pid}).",
    hint: "Stop that process, or give this one a data directory of its own.",
    retryable: false,
  },
  DEPTH_LIMIT: {
    status: 422,
    message: "Run {run} may not have children: the tree is {limit} levels deep already.",
    hint: "Raise limits.depth of the agent, or look for agents that spawn themselves without end.",
    retryable: false,
  },
  DUPLICATE_STEP: {
    status: 422,
    message:
      "Step {name} was asked for twice at the same time in scope {scope}, in an order that a replay could not repeat.",
    hint: "Give the branches scopes of their own with ctx.all or ctx.map, or give the steps different names.",
    retryable: false,
  },
  DURATION_INVALID: {
    status: 400,
    message: "{input} is not a usable duration: {reason}.",
    hint: 'Write for example "90 s", "1h 30m", "3 days", "PT5M", an object such as "minutes: 5", or a number of milliseconds.',
    retryable: false,
  },
  EMBEDDED_FAILED: {
    status: 500,
    message: "The embedded PostgreSQL did not start: {reason}.",
    hint: "Read {logFile}; to use a PostgreSQL of your own instead, set DATABASE_URL.",
    retryable: false,
  },
  EMBEDDED_UNSUPPORTED: {
    status: 500,
    message: "There is no embedded PostgreSQL for this system ({platform}): {reason}.",
    hint: "Set DATABASE_URL to a PostgreSQL 14 or newer, or reinstall with optional packages: npm install --include=optional.",
    retryable: false,
  },
  HISTORY_MISMATCH: {
    status: 409,
    message: "The code no longer matches the run's journal: {problem}.",
    hint: "Deploy code that asks for the same steps, then release the run: longhaul runs retry {run}; or fork it before the step that changed.",
    retryable: false,
  },
  IDEMPOTENCY_IN_TRANSACTION: {
    status: 400,
    message: "A submit inside your own transaction cannot carry an idempotency key.",
    hint: "Leave the key out: your transaction already makes the submit happen once or not at all.",
    retryable: false,
  },
  IDEMPOTENCY_MISMATCH: {
    status: 422,
    message: "The idempotency key {key} was used for another request.",
    hint: "Use a new key for a new request; to read the first one, look at run {run}.",
    retryable: false,
  },
  INBOX_FULL: {
    status: 429,
    message: "Run {run} has {limit} messages that it has not read.",
    hint: "Wait until it has read them, or check that it waits for the signals you send.",
    retryable: true,
  },
  INPUT_INVALID: {
    status: 422,
    message: "The input of agent {agent} is not valid: {problem}.",
    hint: "Correct the input; each issue in details names its path.",
    retryable: false,
  },
  INSTALLATION_NOT_RUNNING: {
    status: 503,
    message: "No database is named, and no embedded one runs in {dataDir}.",
    hint: "Start one there with `longhaul dev` or `longhaul start`, or name a database with DATABASE_URL or --database-url.",
    retryable: true,
  },
  JOURNAL_FULL: {
    status: 422,
    message: "Run {run} has reached {limit} journal entries.",
    hint: "Split the work into children, or raise limits.steps of the agent.",
    retryable: false,
  },
  KEY_INVALID: {
    status: 400,
    message: "The {kind} cannot be used: {reason}.",
    hint: "Use text of 1 to 512 bytes without NUL; agents and steps take shorter names, see docs/reference/limits.md.",
    retryable: false,
  },
  LEASE_LOST: {
    status: 409,
    message: "This worker no longer holds run {run}.",
    hint: "Another worker goes on with it; nothing is to be done.",
    retryable: false,
  },
  MIGRATION_BLOCKED: {
    status: 503,
    message: "Migration {migration} waited {seconds} s for a lock that other sessions hold.",
    hint: "Look for long transactions in pg_stat_activity, end them, and migrate again; nothing was changed.",
    retryable: true,
  },
  MIGRATION_FAILED: {
    status: 500,
    message: "Migration {migration} failed and was rolled back: {reason}.",
    hint: "The schema is as it was before this migration. Correct the cause, then migrate again.",
    retryable: false,
  },
  MIGRATION_FILES_INVALID: {
    status: 500,
    message: "The folder of migrations {folder} is not usable: {reason}.",
    hint: "Name the files 0001_name.sql, 0002_name.sql and so on, without gaps; if you changed none, reinstall Longhaul.",
    retryable: false,
  },
  NESTED_STEP: {
    status: 422,
    message: "ctx.{verb} was called inside the body of step {step}.",
    hint: "A step's body is recorded as a whole: call the verb outside of it, or make it a child run.",
    retryable: false,
  },
  RETRY_INVALID: {
    status: 400,
    message: "The retry policy cannot be used: {reason}.",
    hint: "Give a number of attempts, false, or an object of maxAttempts, initialMs, factor, maxMs and jitter.",
    retryable: false,
  },
  RUN_CANCELLED: {
    status: 409,
    message: "Run {run} was cancelled: {reason}.",
    hint: "Submit it anew, or fork it: longhaul runs fork {run}.",
    retryable: false,
  },
  RUN_FAILED: {
    status: 422,
    message: "Run {run} failed: {reason}.",
    hint: "Look at it with longhaul runs show {run}; retry it with longhaul runs retry {run}.",
    retryable: false,
  },
  RUN_FINISHED: {
    status: 409,
    message: "Run {run} has already ended ({status}).",
    hint: "An ended run takes no messages; retry or fork it to go on from its journal.",
    retryable: false,
  },
  RUN_NOT_FOUND: {
    status: 404,
    message: "There is no run {run}.",
    hint: "Check the id; list the newest with longhaul runs list.",
    retryable: false,
  },
  RUN_TIMEOUT: {
    status: 408,
    message: "Run {run} used up its running time of {minutes} minutes.",
    hint: "Raise limits.activeMinutes of the agent; waiting does not count.",
    retryable: false,
  },
  SCHEMA_DRIFT: {
    status: 500,
    message: "Migration {migration} differs from the one that was applied to schema {schema}.",
    hint: "An applied migration never changes: restore the file, or use the version of Longhaul that applied it.",
    retryable: false,
  },
  SCHEMA_NAME_INVALID: {
    status: 400,
    message: "{schema} cannot be the name of the schema.",
    hint: "Use a lower-case letter or underscore followed by at most 47 lower-case letters, digits or underscores.",
    retryable: false,
  },
  SCHEMA_TOO_NEW: {
    status: 500,
    message: "Schema {schema} is at version {found}, but this program knows only versions up to {known}.",
    hint: "Upgrade Longhaul on this machine; a newer one has already migrated this database.",
    retryable: false,
  },
  STEP_TIMEOUT: {
    status: 408,
    message: "Step {step} took longer than {timeout}.",
    hint: "Raise the step's timeout, or look at what it waits for; give its abort signal to fetch.",
    retryable: true,
  },
  STEP_UNKNOWN: {
    status: 404,
    message: "Run {run} has no step {step}.",
    hint: "See its steps with longhaul runs show {run}.",
    retryable: false,
  },
  THREAD_BUSY: {
    status: 409,
    message: "Thread {thread} is already running a task.",
    hint: "Wait for it to finish, or choose another multitask strategy: enqueue or interrupt.",
    retryable: true,
  },
  THREAD_EXISTS: {
    status: 409,
    message: "Thread {thread} already exists.",
    hint: "Choose another id, or create it with if_exists: do_nothing.",
    retryable: false,
  },
  THREAD_NOT_FOUND: {
    status: 404,
    message: "There is no thread {thread}.",
    hint: "Create it first, or check the id.",
    retryable: false,
  },
  TRANSACTION_ABORTED: {
    status: 500,
    message: "The transaction was rolled back because a statement in it had failed and the failure was ignored.",
    hint: "Let the error of the failed statement reach the caller of transaction().",
    retryable: false,
  },
  TREE_LIMIT: {
    status: 422,
    message: "The tree of run {run} would have more than {limit} runs.",
    hint: "Raise limits.treeSize of the agent, or look for agents that spawn without end.",
    retryable: false,
  },
  VALUE_NOT_SERIALIZABLE: {
    status: 422,
    message: "The value at {path} cannot be recorded: {reason}.",
    hint: "Record plain data only: {advice}.",
    retryable: false,
  },
  VALUE_TOO_DEEP: {
    status: 422,
    message: "The value at {path} lies deeper than {maxDepth} levels.",
    hint: "Flatten it, or record it as text.",
    retryable: false,
  },
  VALUE_TOO_LARGE: {
    status: 413,
    message: "The value takes more than {maxBytes} bytes when it is encoded.",
    hint: "Store it elsewhere and record where it is, or record it in parts.",
    retryable: false,
  },
  VALUE_UNREADABLE: {
    status: 500,
    message: "A recorded value cannot be read: {reason}.",
    hint: "It was changed by hand or written by a newer version of Longhaul: upgrade this process.",
    retryable: false,
  },
  WAIT_TIMEOUT: {
    status: 408,
    message: "Run {run} did not end within {timeout}.",
    hint: "It goes on: wait again, or look why with longhaul runs why {run}.",
    retryable: true,
  },
  WORKER_NOT_STARTED: {
    status: 500,
    message: "The worker process did not start: {reason}.",
    hint: "Its own error stands above, on standard error; `longhaul worker` with the same settings shows it alone.",
    retryable: true,
  },
} as const satisfies Record<string, CatalogueEntry>;
